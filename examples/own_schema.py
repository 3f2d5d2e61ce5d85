"""A FastAPI application with a custom GraphQL schema, and Postern in the same process.

POSTERN_ENVIRONMENT=development postern serve --app examples.own_schema:app

Postern adds its paths to the application: `/graphql`, `/token`, `/.well-known/jwks.json` and so on.
The custom schema is at `/notes/graphql` and runs like Postern's own: the same context, permission
classes, WebSockets, limits and error codes. The application does not start if a root field has no
permission class. The docstrings are the descriptions in the schema.
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


@strawberry.type
class Note:
    """A note of a user."""

    text: str = strawberry.field(description="The text.")
    author: str = strawberry.field(description="The username of the author.")


NOTES = [Note(text="The door is open.", author="admin")]


@strawberry.type
class Query:
    """The queries about notes."""

    @strawberry.field(permission_classes=[Public])
    def note_count(self) -> int:
        """The number of notes."""
        return len(NOTES)

    @strawberry.field(permission_classes=[IsAuthenticated])
    def notes(self) -> list[Note] | None:
        """All notes."""
        return NOTES


@strawberry.type
class Mutation:
    """The mutations of notes."""

    @strawberry.mutation(permission_classes=[HasPermission("notes:write")])
    def write_note(self, info: Info, text: str) -> Note | None:
        """Writes a note."""
        note = Note(text=text, author=info.context.viewer.user.username)
        NOTES.append(note)
        return note


@strawberry.type
class Subscription:
    """The subscription to notes."""

    @strawberry.subscription(permission_classes=[IsAuthenticated])
    async def read_aloud(self) -> AsyncIterator[Note]:
        """All notes, one per event."""
        for note in NOTES:
            yield note


SCHEMA = strawberry.Schema(Query, Mutation, Subscription)


def app() -> FastAPI:
    """Returns the team's application with Postern mounted."""
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
