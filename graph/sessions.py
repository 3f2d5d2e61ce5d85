"""Sessions: the type `Session`, and the mutation that ends one."""

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


# The names are those of the reasons in `models/session.py`.
@strawberry.enum
class SessionEnd(Enum):
    """Why a session was ended before it expired."""

    LOGGED_OUT = strawberry.enum_value("logged_out", description="The user signed out.")
    LOGGED_OUT_EVERYWHERE = strawberry.enum_value(
        "logged_out_everywhere", description="The user signed out everywhere."
    )
    REVOKED_BY_OWNER = strawberry.enum_value(
        "revoked_by_owner", description="The user ended it from another session."
    )
    REVOKED_BY_OPERATOR = strawberry.enum_value(
        "revoked_by_operator", description="An admin ended it."
    )
    REFRESH_TOKEN_REPLAYED = strawberry.enum_value(
        "refresh_token_replayed",
        description="A refresh token was used twice, so it may have been stolen.",
    )
    USER_DISABLED = strawberry.enum_value("user_disabled", description="The user was disabled.")
    PASSWORD_CHANGED = strawberry.enum_value(
        "password_changed", description="The password was changed from another session, or reset."
    )
    PASSWORD_RESET_REQUIRED = strawberry.enum_value(
        "password_reset_required", description="An admin required a password reset."
    )


@strawberry.type
class Session:
    """A session, from the sign-in on a device to the sign-out."""

    id: strawberry.ID = strawberry.field(description="UUID; the `sid` claim of its tokens.")
    device: str | None = strawberry.field(
        description="Browser and system, e.g. `Firefox on Linux`; null if unknown."
    )
    address: str | None = strawberry.field(
        description="IP address of the sign-in; null if unknown."
    )
    current: bool = strawberry.field(description="True for the session of this request.")
    created_at: datetime = strawberry.field(description="When the user signed in.")
    last_used_at: datetime = strawberry.field(
        description="When the session was last refreshed; equals `createdAt` before that."
    )
    expires_at: datetime = strawberry.field(description="When it expires unless it is refreshed.")
    ended_at: datetime | None = strawberry.field(
        description="When it was ended before it expired; null if it was not."
    )
    end_reason: SessionEnd | None = strawberry.field(
        description="Why it was ended; null if it was not, or if a newer server version ended it"
        " for a reason that this version does not know."
    )

    @classmethod
    def of(cls, session: SessionRecord, *, current: UUID) -> Self:
        """Returns a session in its GraphQL form; `current` is the ID of the viewer's session."""
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

    session_id: strawberry.ID = strawberry.field(description="ID of a session.")


@strawberry.type
class RevokeSessionPayload:
    """Result of `revokeSession`."""

    session_id: strawberry.ID | None = strawberry.field(
        description="The ID of the ended session.", default=None
    )
    errors: list[UserError] = errors_field()


@strawberry.type
class SessionMutations:
    """The mutation that ends a session."""

    @strawberry.mutation(permission_classes=[IsAuthenticated], extensions=[Fails(SessionNotFound)])
    async def revoke_session(
        self, info: Info, input: RevokeSessionInput
    ) -> RevokeSessionPayload | None:
        """Ends a session of the caller, or of any user for holders of `sessions:revoke`."""
        session_id = parse_id(input.session_id)
        if session_id is None:
            raise SessionNotFound
        await end_session(info.context.auth, info.context.viewer, session_id)
        return RevokeSessionPayload(session_id=strawberry.ID(str(session_id)))
