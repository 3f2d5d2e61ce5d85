"""A team's own application and its own GraphQL schema, with Postern inside the same process.

POSTERN_ENVIRONMENT=development postern serve --app examples.own_schema:app

The team's routes are where they were; Postern answers beside them, at `/graphql`, `/token`,
`/.well-known/jwks.json` and so on. The team's schema stands at a path of its own, `/notes/graphql`,
and runs as Postern's does: the same context and permission classes, sockets, limits, and errors
with codes. A field of a root type that does not say who may ask for it keeps it from starting.
"""

from collections.abc import AsyncIterator
from typing import Annotated

import strawberry
from fastapi import Depends, FastAPI

from postern import (
    HasPermission,
    Info,
    IsAuthenticated,
    Public,
    Viewer,
    create_app,
    mount_postern,
    require_viewer,
)

PERMISSIONS = {"notes:write": "Write notes."}


@strawberry.type(description="A sheet of paper.")
class Note:
    """What is remembered of a note."""

    text: str = strawberry.field(description="What it says.")
    author: str = strawberry.field(description="The username of who wrote it.")


NOTES = [Note(text="The door is open.", author="admin")]


@strawberry.type
class Query:
    """What can be asked."""

    @strawberry.field(description="How many notes there are.", permission_classes=[Public])
    def note_count(self) -> int:
        return len(NOTES)

    @strawberry.field(description="All notes.", permission_classes=[IsAuthenticated])
    def notes(self) -> list[Note] | None:
        return NOTES


@strawberry.type
class Mutation:
    """What can be done."""

    @strawberry.mutation(
        description="Writes a note.", permission_classes=[HasPermission("notes:write")]
    )
    def write_note(self, info: Info, text: str) -> Note | None:
        note = Note(text=text, author=info.context.viewer.user.username)
        NOTES.append(note)
        return note


@strawberry.type
class Subscription:
    """What can be followed."""

    @strawberry.subscription(
        description="The notes, one after the other.", permission_classes=[IsAuthenticated]
    )
    async def read_aloud(self) -> AsyncIterator[Note]:
        for note in NOTES:
            yield note


SCHEMA = strawberry.Schema(Query, Mutation, Subscription)


def app() -> FastAPI:
    """The team's application, with Postern inside."""
    app = FastAPI(title="Notes")
    postern = create_app(schemas={"/notes/graphql": SCHEMA}, permissions=PERMISSIONS)
    mount_postern(app, postern)
    signed_in = require_viewer(postern)
    may_write = require_viewer(postern, "notes:write")

    @app.get("/notes/mine")
    async def own_notes(viewer: Annotated[Viewer, Depends(signed_in)]) -> list[str]:
        return [note.text for note in NOTES if note.author == viewer.user.username]

    @app.delete("/notes", status_code=204, dependencies=[Depends(may_write)])
    async def tear_up() -> None:
        NOTES.clear()

    return app
