"""Custom fields in Postern's schema, with permission classes.

POSTERN_ENVIRONMENT=development postern serve --app examples.own_fields:app
"""

import strawberry
from fastapi import FastAPI

from postern import HasPermission, Info, IsAuthenticated, Public, create_app

NOTES = ["The door is open.", "The key is under the mat."]


@strawberry.type
class NoteQueries:
    """Root fields about notes."""

    @strawberry.field(permission_classes=[Public])
    def note_count(self) -> int:
        """The number of notes."""
        return len(NOTES)

    @strawberry.field(permission_classes=[IsAuthenticated])
    def greeting(self, info: Info) -> str | None:
        """A greeting."""
        return f"Good evening, {info.context.viewer.user.username}."

    @strawberry.field(permission_classes=[HasPermission("notes:read")])
    def notes(self) -> list[str] | None:
        """All notes."""
        return NOTES


PERMISSIONS = {"notes:read": "Read all notes."}


def app() -> FastAPI:
    """Returns Postern with the fields above."""
    return create_app(queries=[NoteQueries], permissions=PERMISSIONS)
