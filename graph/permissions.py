"""Permission classes: they gate a field, and show in the SDL what it takes.

Used the way Strawberry's are: `permission_classes=[HasPermission("users:read")]`.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, ClassVar

import strawberry
from strawberry.permission import BasePermission
from strawberry.schema_directive import Location

from auth import authorization
from auth.errors import Forbidden
from auth.permissions import check_may
from auth.viewers import Viewer
from graph.compiled.known import reads_only_context
from graph.context import Info

_ON_FIELDS = [Location.FIELD_DEFINITION]


@strawberry.schema_directive(locations=_ON_FIELDS, name="public")
class PublicDirective:
    """Anybody may ask, signed in or not."""


@strawberry.schema_directive(locations=_ON_FIELDS, name="authenticated")
class AuthenticatedDirective:
    """The caller must be signed in."""


@strawberry.schema_directive(locations=_ON_FIELDS, name="requires")
class RequiresDirective:
    """The caller must hold the permission."""

    permission: str = strawberry.field(description="As `resource:action`.")


@strawberry.schema_directive(locations=_ON_FIELDS, name="requiresSelfOr")
class RequiresSelfOrDirective:
    """The account is the caller's own, or the caller must hold the permission."""

    permission: str = strawberry.field(description="As `resource:action`.")


@strawberry.schema_directive(locations=_ON_FIELDS, name="requiresRole")
class RequiresRoleDirective:
    """The caller must have the role."""

    role: str = strawberry.field(description="The name of the role.")


class Guard(BasePermission):
    """What the permission classes share: `check` raises a denial, and a directive shows it.

    `who` says in words whom it lets pass; `permission` or `role` is what it asks for, if any.
    """

    directive: ClassVar[object]
    who: ClassVar[str]
    permission: ClassVar[str | None] = None
    role: ClassVar[str | None] = None

    @property
    def schema_directive(self) -> object:
        """The directive on the guarded field."""
        return self.directive

    def has_permission(self, source: Any, info: Info, **kwargs: Any) -> bool:
        """True, or a denial is raised."""
        self.check(source, info, kwargs)
        return True

    def check(self, source: Any, info: Info, arguments: dict[str, Any]) -> None:
        """Raises Unauthenticated or Forbidden."""
        raise NotImplementedError


@reads_only_context
class Public(Guard):
    """Anybody may ask. Stated, since a field that states nothing does not build."""

    directive = PublicDirective()
    who = "anybody"

    def check(self, source: Any, info: Info, arguments: dict[str, Any]) -> None:
        """Lets everybody pass."""


@reads_only_context
class IsAuthenticated(Guard):
    """The caller must be signed in."""

    directive = AuthenticatedDirective()
    who = "whoever is signed in"

    def check(self, source: Any, info: Info, arguments: dict[str, Any]) -> None:
        """Raises Unauthenticated."""
        _ = info.context.viewer


@reads_only_context
class HasSession(Guard):
    """The caller must be signed in, by a bearer token or by the cookie of the refresh token."""

    directive = AuthenticatedDirective()
    who = "whoever is signed in, by token or by cookie"

    def check(self, source: Any, info: Info, arguments: dict[str, Any]) -> None:
        """Raises Unauthenticated."""
        _ = info.context.session_id


@cache
def HasPermission(permission: str) -> type[Guard]:  # noqa: N802 - reads as the class that it makes
    """A permission class: the caller must hold `permission`."""

    @reads_only_context
    class HasThisPermission(Guard):
        directive = RequiresDirective(permission=permission)
        who = f"holders of `{permission}`"

        def check(self, source: Any, info: Info, arguments: dict[str, Any]) -> None:
            check_may(info.context.viewer, permission)

    HasThisPermission.permission = permission
    return HasThisPermission


@cache
def HasRole(role: str) -> type[Guard]:  # noqa: N802 - reads as the class that it makes
    """A permission class: the caller must have `role`. Prefer HasPermission: roles change."""

    @reads_only_context
    class HasThisRole(Guard):
        directive = RequiresRoleDirective(role=role)
        who = f"users with the role `{role}`"

        def check(self, source: Any, info: Info, arguments: dict[str, Any]) -> None:
            if all(held.name != role for held in info.context.viewer.user.roles):
                raise Forbidden(f"role {role}")

    HasThisRole.role = role
    return HasThisRole


@cache
def IsSelfOr(permission: str) -> type[Guard]:  # noqa: N802 - reads as the class that it makes
    """A permission class: the account is the caller's own, or the caller holds `permission`.

    The account is the one of the argument `id`, or else the object that the field belongs to.
    """

    @reads_only_context
    class IsSelfOrHasThisPermission(Guard):
        directive = RequiresSelfOrDirective(permission=permission)
        who = f"the owner of the account, and holders of `{permission}`"

        def check(self, source: Any, info: Info, arguments: dict[str, Any]) -> None:
            viewer = info.context.viewer
            if not _is_own(viewer, source, arguments):
                check_may(viewer, permission)

    IsSelfOrHasThisPermission.permission = permission
    return IsSelfOrHasThisPermission


@asynccontextmanager
async def holding_permissions(info: Info, *permissions: str) -> AsyncIterator[None]:
    """The caller holds the permissions until the block ends, as Postern's own mutations do.

    A permission class is checked when the request arrives. The session may end, or a role may be
    taken, before the resolver acts: this checks again, and a transaction that takes a permission
    away waits for the end of the block. Keep the block short, and do not call Postern inside: it is
    a transaction of Postern's database, and on SQLite it blocks all other writes. Raises Forbidden,
    Unauthenticated.
    """
    context = info.context
    async with authorization.holding_permissions(context.auth, context.viewer, *permissions):
        yield


def _is_own(viewer: Viewer, source: Any, arguments: dict[str, Any]) -> bool:
    account = arguments["id"] if "id" in arguments else getattr(source, "id", None)
    return account is not None and str(account) == str(viewer.user_id)


__all__ = [
    "Guard",
    "HasPermission",
    "HasRole",
    "HasSession",
    "IsAuthenticated",
    "IsSelfOr",
    "Public",
    "holding_permissions",
]
