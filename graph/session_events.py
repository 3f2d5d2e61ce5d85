"""Session events: the subscription `sessionEvents`."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from enum import Enum

import strawberry

from auth.session_events import session_events
from graph.context import Info
from graph.permissions import IsAuthenticated
from graph.sessions import Session


# The names are those of the kinds in `auth/session_events.py`.
@strawberry.enum
class SessionEventKind(Enum):
    """The kind of a session event."""

    SIGNED_IN = strawberry.enum_value("signed_in", description="A sign-in started the session.")
    REFRESHED = strawberry.enum_value("refreshed", description="The session was refreshed.")
    REVOKED = strawberry.enum_value(
        "revoked", description="The session was ended; see `session { endReason }`."
    )


@strawberry.type
class SessionEvent:
    """A change of a session."""

    kind: SessionEventKind = strawberry.field(description="The kind of the change.")
    session: Session = strawberry.field(description="The session after the change.")
    at: datetime = strawberry.field(description="When it happened.")


@strawberry.type
class SessionSubscriptions:
    """The subscription to session events."""

    @strawberry.subscription(permission_classes=[IsAuthenticated])
    async def session_events(self, info: Info) -> AsyncGenerator[SessionEvent, None]:
        """Events of the caller's sessions from now on. Ends with the current session."""
        viewer = info.context.viewer
        async with aclosing(session_events(info.context.auth, viewer)) as events:
            async for event in events:
                yield SessionEvent(
                    kind=SessionEventKind[event.kind.name],
                    session=Session.of(event.session, current=viewer.session_id),
                    at=event.at,
                )
