"""Roles in GraphQL."""

from functools import lru_cache

import strawberry

from auth.records import RoleRecord
from auth.roles import list_roles
from graph.context import Info
from graph.permissions import HasPermission


@strawberry.type
class Role:
    """A named set of permissions."""

    id: strawberry.ID = strawberry.field(description="UUID of the role.")
    name: str = strawberry.field(description="Unique name, e.g. `admin`.")
    description: str = strawberry.field(description="One sentence on what the role is for.")
    built_in: bool = strawberry.field(
        description="Whether the role comes with Postern and stays as it is."
    )
    permissions: list[str] = strawberry.field(
        description="What the role permits, each as `resource:action`, sorted."
    )
    unknown_permissions: list[str] = strawberry.field(
        description="What the role also grants and this server does not know, sorted; it is kept,"
        " and counts where it is known."
    )
    version: int = strawberry.field(description="Counts edits, for `updateRole`.")

    @classmethod
    def of(cls, role: RoleRecord) -> "Role":
        """Shows a role."""
        return _show(role)


# Roles are few, and every account on a page has some.
@lru_cache(maxsize=1024)
def _show(role: RoleRecord) -> Role:
    return Role(
        id=strawberry.ID(str(role.id)),
        name=role.name,
        description=role.description,
        built_in=role.built_in,
        permissions=sorted(role.permissions),
        unknown_permissions=sorted(role.unknown_permissions),
        version=role.version,
    )


@strawberry.type
class Permission:
    """Something that a role can permit."""

    name: str = strawberry.field(description="`resource:action`, e.g. `users:read`.")
    description: str = strawberry.field(description="What it permits, in one sentence.")


@strawberry.type
class RoleQueries:
    """Root fields about roles."""

    @strawberry.field(permission_classes=[HasPermission("users:read")])
    async def roles(self, info: Info) -> list[Role] | None:
        """Every role, by name."""
        context = info.context
        return [Role.of(role) for role in await list_roles(context.auth, context.viewer)]

    @strawberry.field(permission_classes=[HasPermission("users:read")])
    def permissions(self, info: Info) -> list[Permission] | None:
        """Everything that roles can permit on this server, by name."""
        registry = info.context.auth.permissions
        return [Permission(name=name, description=registry.describe(name)) for name in registry]
