"""Permission classes: who may read a field, checked at run time and shown in the SDL.

Use them as Strawberry's own: `permission_classes=[HasPermission("users:read")]`.
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
from graph.compiled.compilable import reads_only_context
from graph.context import Info

_ON_FIELDS = [Location.FIELD_DEFINITION]


@strawberry.schema_directive(locations=_ON_FIELDS, name="public")
class PublicDirective:
    """All callers may use the field, signed in or not."""


@strawberry.schema_directive(locations=_ON_FIELDS, name="authenticated")
class AuthenticatedDirective:
    """The caller must be signed in."""


@strawberry.schema_directive(locations=_ON_FIELDS, name="requires")
class RequiresDirective:
    """The caller must hold the permission."""

    permission: str = strawberry.field(description="The permission, as `resource:action`.")


@strawberry.schema_directive(locations=_ON_FIELDS, name="requiresSelfOr")
class RequiresSelfOrDirective:
    """The user is the caller, or the caller must hold the permission."""

    permission: str = strawberry.field(description="The permission, as `resource:action`.")


@strawberry.schema_directive(locations=_ON_FIELDS, name="requiresRole")
class RequiresRoleDirective:
    """The caller must have the role."""

    role: str = strawberry.field(description="The name of the role.")


class Guard(BasePermission):
    """The base of the permission classes: `check` raises a denial, `directive` shows in the SDL.

    `allowed_callers` describes the callers that pass, for docs/access.md. `permission` or `role` is
    the one that they need, if any.
    """

    directive: ClassVar[object]
    allowed_callers: ClassVar[str]
    permission: ClassVar[str | None] = None
    role: ClassVar[str | None] = None

    @property
    def schema_directive(self) -> object:
        """The directive on the guarded field."""
        return self.directive

    def has_permission(self, source: Any, info: Info, **kwargs: Any) -> bool:
        """Returns True. Raises Unauthenticated or Forbidden."""
        self.check(source, info, kwargs)
        return True

    def check(self, source: Any, info: Info, arguments: dict[str, Any]) -> None:
        """Raises Unauthenticated or Forbidden."""
        raise NotImplementedError


@reads_only_context
class Public(Guard):
    """All callers may use the field. A root field without a permission class is an error."""

    directive = PublicDirective()
    allowed_callers = "all callers"

    def check(self, source: Any, info: Info, arguments: dict[str, Any]) -> None:
        """Never raises."""


@reads_only_context
class IsAuthenticated(Guard):
    """The caller must be signed in."""

    directive = AuthenticatedDirective()
    allowed_callers = "signed-in users"

    def check(self, source: Any, info: Info, arguments: dict[str, Any]) -> None:
        """Raises Unauthenticated."""
        _ = info.context.viewer


@reads_only_context
class HasSession(Guard):
    """The caller must be signed in, with a bearer token or the cookie of the refresh token."""

    directive = AuthenticatedDirective()
    allowed_callers = "signed-in users, by token or cookie"

    def check(self, source: Any, info: Info, arguments: dict[str, Any]) -> None:
        """Raises Unauthenticated."""
        _ = info.context.session_id


@cache
def HasPermission(permission: str) -> type[Guard]:  # noqa: N802 - used like a class
    """Returns a permission class: the caller must hold `permission`."""

    @reads_only_context
    class HasThisPermission(Guard):
        directive = RequiresDirective(permission=permission)
        allowed_callers = f"users with the permission `{permission}`"

        def check(self, source: Any, info: Info, arguments: dict[str, Any]) -> None:
            check_may(info.context.viewer, permission)

    HasThisPermission.permission = permission
    return HasThisPermission


@cache
def HasRole(role: str) -> type[Guard]:  # noqa: N802 - used like a class
    """Returns a permission class: the caller must have `role`.

    Prefer HasPermission: admins can then decide which roles grant it.
    """

    @reads_only_context
    class HasThisRole(Guard):
        directive = RequiresRoleDirective(role=role)
        allowed_callers = f"users with the role `{role}`"

        def check(self, source: Any, info: Info, arguments: dict[str, Any]) -> None:
            if all(held.name != role for held in info.context.viewer.user.roles):
                raise Forbidden(f"role {role}")

    HasThisRole.role = role
    return HasThisRole


@cache
def IsSelfOr(permission: str) -> type[Guard]:  # noqa: N802 - used like a class
    """Returns a permission class: the user is the caller, or the caller holds `permission`.

    The user is the one with the ID of the argument `id`. Without that argument, it is the object
    that the field belongs to.
    """

    @reads_only_context
    class IsSelfOrHasThisPermission(Guard):
        directive = RequiresSelfOrDirective(permission=permission)
        allowed_callers = f"the user, and users with the permission `{permission}`"

        def check(self, source: Any, info: Info, arguments: dict[str, Any]) -> None:
            viewer = info.context.viewer
            if not _is_self(viewer, source, arguments):
                check_may(viewer, permission)

    IsSelfOrHasThisPermission.permission = permission
    return IsSelfOrHasThisPermission


@asynccontextmanager
async def holding_permissions(info: Info, *permissions: str) -> AsyncIterator[None]:
    """Checks the permissions of the caller again, and keeps them valid until the block ends.

    A permission class is checked when the request arrives. Before the resolver writes, the session
    may end or a role may be removed. A transaction that removes a permission waits for the end of
    the block. The block is a transaction of Postern's database, and blocks all other writes on
    SQLite: keep it short, and do not call Postern inside. Raises Forbidden, Unauthenticated.
    """
    context = info.context
    async with authorization.holding_permissions(context.auth, context.viewer, *permissions):
        yield


def _is_self(viewer: Viewer, source: Any, arguments: dict[str, Any]) -> bool:
    user_id = arguments["id"] if "id" in arguments else getattr(source, "id", None)
    return user_id is not None and str(user_id) == str(viewer.user_id)


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
