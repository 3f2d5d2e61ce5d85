"""Users: the type `User` and its queries."""

from datetime import datetime
from functools import lru_cache
from typing import Annotated, Self
from uuid import UUID

import strawberry

from auth.audit_list import list_own_audit_events
from auth.records import UserRecord
from auth.session_list import list_sessions
from auth.user_list import UserFilter, list_users
from auth.users import find_user
from graph.arguments import given, parse_id
from graph.audit import AuditEvent, audit_connection
from graph.compiled.compilable import reads_only_context
from graph.connections import After, Before, Connection, First, Last, read_page
from graph.context import Info
from graph.permissions import HasPermission, IsAuthenticated, IsSelfOr
from graph.roles import Role
from graph.sessions import Session


@strawberry.type
class User:
    """A user of the server."""

    id: strawberry.ID = strawberry.field(
        description="UUID; equals the `sub` claim of the user's tokens."
    )
    username: str = strawberry.field(description="Unique name, in the user's own spelling.")
    email: str | None = strawberry.field(description="Email address; null if there is none.")
    email_verified: bool | None = strawberry.field(
        description="True if the user has confirmed `email` with a link; null without an address."
    )
    full_name: str | None = strawberry.field(description="Full name; null if not set.")
    disabled: bool = strawberry.field(description="True if an admin has disabled the user.")
    roles: list[Role] = strawberry.field(description="Roles of the user, sorted by name.")
    permissions: list[str] = strawberry.field(
        description="Permissions that all roles grant together, as `resource:action`, sorted."
    )
    created_at: datetime = strawberry.field(description="When the account was created.")
    last_login_at: datetime | None = strawberry.field(
        description="When the user last signed in; null if never."
    )
    version: int = strawberry.field(
        description="Incremented by each edit; pass it to mutations to detect conflicts."
    )

    @strawberry.field(permission_classes=[IsSelfOr("users:read")])
    async def sessions(
        self,
        info: Info,
        first: First = strawberry.UNSET,
        after: After = strawberry.UNSET,
        ended: Annotated[
            bool | None,
            strawberry.argument(description="True returns the ended sessions instead."),
        ] = strawberry.UNSET,
    ) -> Connection[Session] | None:
        """Active sessions, newest first."""
        viewer = info.context.viewer
        page = await list_sessions(
            info.context.auth,
            viewer,
            UUID(self.id),
            page=read_page(given(first), given(after), None, None),
            ended=bool(given(ended)),
        )
        return Connection[Session].of(
            [(s.id, Session.of(s, current=viewer.session_id)) for s in page.sessions],
            has_next=page.has_next,
            has_previous=given(after) is not None,
        )

    @strawberry.field(permission_classes=[IsSelfOr("audit:read")])
    async def audit_events(
        self,
        info: Info,
        first: First = strawberry.UNSET,
        after: After = strawberry.UNSET,
        last: Last = strawberry.UNSET,
        before: Before = strawberry.UNSET,
    ) -> Connection[AuditEvent] | None:
        """Audit events that the user caused or that concern them, newest first."""
        page = read_page(given(first), given(after), given(last), given(before))
        context = info.context
        return audit_connection(
            await list_own_audit_events(context.auth, context.viewer, UUID(self.id), page)
        )

    @classmethod
    def of(cls, user: UserRecord) -> Self:
        """Returns a user in its GraphQL form."""
        return cls(
            id=strawberry.ID(str(user.id)),
            username=user.username,
            email=user.email,
            email_verified=user.email_verified if user.email else None,
            full_name=user.full_name,
            disabled=user.disabled,
            roles=[Role.of(role) for role in user.roles],
            permissions=sorted(user.permissions),
            created_at=user.created_at,
            last_login_at=user.last_login_at,
            version=user.version,
        )


@lru_cache(maxsize=2048)
def _user(user: UserRecord) -> User:
    # Equal rows give the same record object (`auth/user_rows.py`), so the cache finds it.
    return User.of(user)


@strawberry.type
class UserQueries:
    """The queries of users."""

    @strawberry.field(permission_classes=[IsAuthenticated])
    @reads_only_context
    def me(self, info: Info) -> User | None:
        """The signed-in user; null, with an error, if the caller is not signed in."""
        return _user(info.context.viewer.user)

    @strawberry.field(permission_classes=[IsSelfOr("users:read")])
    async def user(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="UUID of the user.")],
    ) -> User | None:
        """The user with this ID; null if there is none."""
        user_id = parse_id(id)
        if user_id is None:
            return None
        user = await find_user(info.context.auth, info.context.viewer, user_id)
        return _user(user) if user else None

    @strawberry.field(permission_classes=[HasPermission("users:read")])
    async def users(  # noqa: PLR0913, PLR0917 - the arguments of a connection, and the filters
        self,
        info: Info,
        first: First = strawberry.UNSET,
        after: After = strawberry.UNSET,
        last: Last = strawberry.UNSET,
        before: Before = strawberry.UNSET,
        search: Annotated[
            str | None,
            strawberry.argument(
                description="Only users whose username or email address starts with this text."
            ),
        ] = strawberry.UNSET,
        role: Annotated[
            str | None,
            strawberry.argument(description="Only users with the role of this name, e.g. `admin`."),
        ] = strawberry.UNSET,
        disabled: Annotated[
            bool | None,
            strawberry.argument(description="True for disabled users only, false for the others."),
        ] = strawberry.UNSET,
    ) -> Connection[User] | None:
        """All users, newest first."""
        page = await list_users(
            info.context.auth,
            info.context.viewer,
            page=read_page(given(first), given(after), given(last), given(before)),
            filters=UserFilter(
                search=given(search) or None, role=given(role), disabled=given(disabled)
            ),
        )
        return Connection[User].of(
            [(user.id, _user(user)) for user in page.users],
            has_next=page.has_next,
            has_previous=page.has_previous,
        )
