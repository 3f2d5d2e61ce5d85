"""`sessionEvents`: what happens to one's own sessions, as it happens."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from enum import Enum

import strawberry

from auth.session_events import session_events
from graph.context import Info
from graph.permissions import IsAuthenticated
from graph.sessions import Session


@strawberry.enum
class SessionEventKind(Enum):
    """What can happen to a session."""

    SIGNED_IN = strawberry.enum_value("signed_in", description="It was started by a sign-in.")
    REFRESHED = strawberry.enum_value("refreshed", description="It was given new tokens.")
    REVOKED = strawberry.enum_value(
        "revoked", description="It was ended; `session { endReason }` says why."
    )


@strawberry.type
class SessionEvent:
    """Something that happened to a session."""

    kind: SessionEventKind = strawberry.field(description="What happened.")
    session: Session = strawberry.field(description="The session, as it is afterwards.")
    at: datetime = strawberry.field(description="When it happened.")


@strawberry.type
class SessionSubscriptions:
    """Root fields that tell of sessions as they change."""

    @strawberry.subscription(permission_classes=[IsAuthenticated])
    async def session_events(self, info: Info) -> AsyncGenerator[SessionEvent, None]:
        """What happens to one's own sessions from now on, on every device.

        It ends with this session.
        """
        viewer = info.context.viewer
        async with aclosing(session_events(info.context.auth, viewer)) as events:
            async for event in events:
                yield SessionEvent(
                    kind=SessionEventKind[event.kind.name],
                    session=Session.of(event.session, current=viewer.session_id),
                    at=event.at,
                )
