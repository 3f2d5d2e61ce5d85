"""Sessions in GraphQL: where one is signed in, and how to end that."""

from datetime import datetime
from enum import Enum
from typing import Self
from uuid import UUID

import strawberry

from auth.errors import SessionNotFound
from auth.logout import end_session
from auth.session_list import SessionRecord
from graph.arguments import parse_id
from graph.context import Info
from graph.errors.user_errors import Fails, UserError, errors_field
from graph.permissions import IsAuthenticated


@strawberry.enum
class SessionEnd(Enum):
    """Why a session ended before its time."""

    LOGGED_OUT = strawberry.enum_value("logged_out", description="Its user logged out.")
    LOGGED_OUT_EVERYWHERE = strawberry.enum_value(
        "logged_out_everywhere", description="Its user logged out everywhere."
    )
    REVOKED_BY_OWNER = strawberry.enum_value(
        "revoked_by_owner", description="Its user ended it from another session."
    )
    REVOKED_BY_OPERATOR = strawberry.enum_value(
        "revoked_by_operator", description="An operator ended it."
    )
    REFRESH_TOKEN_REPLAYED = strawberry.enum_value(
        "refresh_token_replayed",
        description="A refresh token was used twice: it may have been stolen.",
    )
    USER_DISABLED = strawberry.enum_value("user_disabled", description="The account was disabled.")
    PASSWORD_CHANGED = strawberry.enum_value(
        "password_changed", description="The password was changed from another session, or reset."
    )
    PASSWORD_RESET_REQUIRED = strawberry.enum_value(
        "password_reset_required", description="An operator asked for another password."
    )


@strawberry.type
class Session:
    """One sign-in on one device, until its sign-out."""

    id: strawberry.ID = strawberry.field(description="UUID; the `sid` claim of its tokens.")
    device: str | None = strawberry.field(
        description="Browser and system, e.g. `Firefox on Linux`; null if not known."
    )
    address: str | None = strawberry.field(
        description="Network address of the sign-in; null if not known."
    )
    current: bool = strawberry.field(description="Whether this request belongs to the session.")
    created_at: datetime = strawberry.field(description="When the user signed in.")
    last_used_at: datetime = strawberry.field(
        description="When its refresh token was last used, or the sign-in."
    )
    expires_at: datetime = strawberry.field(description="When it ends if it is not used.")
    ended_at: datetime | None = strawberry.field(
        description="When it was ended before its time; null if it was not."
    )
    end_reason: SessionEnd | None = strawberry.field(
        description="Why it was ended; null if it was not, or if a newer version of the server"
        " ended it for a reason that this one does not know."
    )

    @classmethod
    def of(cls, session: SessionRecord, *, current: UUID) -> Self:
        """Shows a session; `current` is the viewer's."""
        return cls(
            id=strawberry.ID(str(session.id)),
            device=session.device,
            address=session.client_address,
            current=session.id == current,
            created_at=session.created_at,
            last_used_at=session.last_used_at,
            expires_at=session.expires_at,
            ended_at=session.revoked_at,
            end_reason=SessionEnd.__members__.get((session.revocation_reason or "").upper()),
        )


@strawberry.input
class RevokeSessionInput:
    """The session to end."""

    session_id: strawberry.ID = strawberry.field(description="One of `me { sessions }`.")


@strawberry.type
class RevokeSessionPayload:
    """Result of `revokeSession`."""

    session_id: strawberry.ID | None = strawberry.field(
        description="The session that was ended.", default=None
    )
    errors: list[UserError] = errors_field()


@strawberry.type
class SessionMutations:
    """Root fields that end other sessions."""

    @strawberry.mutation(permission_classes=[IsAuthenticated], extensions=[Fails(SessionNotFound)])
    async def revoke_session(
        self, info: Info, input: RevokeSessionInput
    ) -> RevokeSessionPayload | None:
        """Ends one session: one's own, or anybody's for `sessions:revoke`."""
        session_id = parse_id(input.session_id)
        if session_id is None:
            raise SessionNotFound
        await end_session(info.context.auth, info.context.viewer, session_id)
        return RevokeSessionPayload(session_id=strawberry.ID(str(session_id)))
