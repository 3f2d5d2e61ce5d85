"""A team's own fields beside Postern's, behind the same permission classes.

POSTERN_ENVIRONMENT=development uvicorn --factory examples.own_fields:app
"""

import strawberry
from fastapi import FastAPI

from postern import HasPermission, Info, IsAuthenticated, Public, create_app

NOTES = ["The door is open.", "The key is under the mat."]


@strawberry.type
class NoteQueries:
    """Root fields about notes."""

    @strawberry.field(description="How many notes there are.", permission_classes=[Public])
    def note_count(self) -> int:
        return len(NOTES)

    @strawberry.field(description="A greeting.", permission_classes=[IsAuthenticated])
    def greeting(self, info: Info) -> str | None:
        return f"Good evening, {info.context.viewer.user.username}."

    @strawberry.field(description="All notes.", permission_classes=[HasPermission("notes:read")])
    def notes(self) -> list[str] | None:
        return NOTES


PERMISSIONS = {"notes:read": "Read all notes."}


def app() -> FastAPI:
    """Postern, with the fields above."""
    return create_app(queries=[NoteQueries], permissions=PERMISSIONS)
