"""Sign-out: end the current session, or all of the user."""

from uuid import UUID

import strawberry

from auth.logout import log_out, log_out_everywhere
from graph.context import Context, Info
from graph.errors.user_errors import Fails, UserError, errors_field
from graph.permissions import HasSession, IsAuthenticated


@strawberry.type
class LogoutPayload:
    """Result of `logout` and of `logoutEverywhere`."""

    ended_sessions: int | None = strawberry.field(
        description="Number of ended sessions; 0 if the session had already ended.", default=None
    )
    errors: list[UserError] = errors_field()


@strawberry.type
class LogoutMutations:
    """The mutations that sign out."""

    @strawberry.mutation(permission_classes=[HasSession], extensions=[Fails()])
    async def logout(self, info: Info) -> LogoutPayload | None:
        """Ends the current session; its tokens stop working immediately."""
        session_id = info.context.session_id
        ended = await log_out(info.context.auth, info.context.client, session_id)
        _forget(info.context, session_id)
        return LogoutPayload(ended_sessions=ended)

    @strawberry.mutation(permission_classes=[IsAuthenticated], extensions=[Fails()])
    async def logout_everywhere(self, info: Info) -> LogoutPayload | None:
        """Ends all sessions of the caller, including the current one."""
        ended = await log_out_everywhere(info.context.auth, info.context.viewer)
        _forget(info.context, info.context.viewer.session_id)
        return LogoutPayload(ended_sessions=ended)


def _forget(context: Context, session_id: UUID) -> None:
    # The cookie may belong to a session of another user in the same browser.
    if context.cookie_session_id == session_id:
        context.cookies.clear()
