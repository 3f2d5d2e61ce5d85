"""Accounts in GraphQL: who am I, who is that, and who is there."""

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
from graph.compiled.known import reads_only_context
from graph.connections import After, Before, Connection, First, Last, read_page
from graph.context import Info
from graph.permissions import HasPermission, IsAuthenticated, IsSelfOr
from graph.roles import Role
from graph.sessions import Session


@strawberry.type
class User:
    """An account."""

    id: strawberry.ID = strawberry.field(
        description="UUID; equals the `sub` claim of the user's tokens."
    )
    username: str = strawberry.field(description="Unique name, as its owner writes it.")
    email: str | None = strawberry.field(description="E-mail address; null if there is none.")
    email_verified: bool | None = strawberry.field(
        description="Whether the owner has proved to receive mail at `email`; null without one."
    )
    full_name: str | None = strawberry.field(description="Name for people; null if not given.")
    disabled: bool = strawberry.field(description="Whether an operator has closed the account.")
    roles: list[Role] = strawberry.field(description="The roles that the user has, by name.")
    permissions: list[str] = strawberry.field(
        description="What the user may do by all roles together, sorted."
    )
    created_at: datetime = strawberry.field(description="When the account was made.")
    last_login_at: datetime | None = strawberry.field(
        description="When the user last logged in; null if never."
    )
    version: int = strawberry.field(description="Counts edits, for those who edit accounts.")

    @strawberry.field(permission_classes=[IsSelfOr("users:read")])
    async def sessions(
        self,
        info: Info,
        first: First = strawberry.UNSET,
        after: After = strawberry.UNSET,
        ended: Annotated[
            bool | None,
            strawberry.argument(description="True lists the sessions that are over instead."),
        ] = strawberry.UNSET,
    ) -> Connection[Session] | None:
        """Where the user is signed in, newest first."""
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
        """What the user did, and what was done to them, newest first."""
        page = read_page(given(first), given(after), given(last), given(before))
        context = info.context
        return audit_connection(
            await list_own_audit_events(context.auth, context.viewer, UUID(self.id), page)
        )

    @classmethod
    def of(cls, user: UserRecord) -> Self:
        """Shows an account."""
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
def _show(user: UserRecord) -> User:
    # An account whose row says the same is the same record: see `auth/user_records.py`.
    return User.of(user)


@strawberry.type
class UserQueries:
    """Root fields about accounts."""

    @strawberry.field(permission_classes=[IsAuthenticated])
    @reads_only_context
    def me(self, info: Info) -> User | None:
        """The signed-in user; null when nobody is."""
        return _show(info.context.viewer.user)

    @strawberry.field(permission_classes=[IsSelfOr("users:read")])
    async def user(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="UUID of the user.")],
    ) -> User | None:
        """An account by its id; null if there is none."""
        user_id = parse_id(id)
        if user_id is None:
            return None
        user = await find_user(info.context.auth, info.context.viewer, user_id)
        return _show(user) if user else None

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
                description="Only users whose username or e-mail address begins like this."
            ),
        ] = strawberry.UNSET,
        role: Annotated[
            str | None, strawberry.argument(description="Only users with the role of this name.")
        ] = strawberry.UNSET,
        disabled: Annotated[
            bool | None,
            strawberry.argument(description="Only disabled users, or only those who are not."),
        ] = strawberry.UNSET,
    ) -> Connection[User] | None:
        """Accounts, newest first."""
        page = await list_users(
            info.context.auth,
            info.context.viewer,
            page=read_page(given(first), given(after), given(last), given(before)),
            filters=UserFilter(
                search=given(search) or None, role=given(role), disabled=given(disabled)
            ),
        )
        return Connection[User].of(
            [(user.id, _show(user)) for user in page.users],
            has_next=page.has_next,
            has_previous=page.has_previous,
        )
