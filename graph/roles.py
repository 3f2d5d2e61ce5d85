"""Roles and permissions: the types and the queries."""

from functools import lru_cache

import strawberry

from auth.records import RoleRecord
from auth.roles import list_roles
from graph.context import Info
from graph.permissions import HasPermission


@strawberry.type
class Role:
    """A named set of permissions."""

    id: strawberry.ID = strawberry.field(description="UUID.")
    name: str = strawberry.field(description="Unique name, e.g. `admin`.")
    description: str = strawberry.field(description="One sentence about the purpose of the role.")
    built_in: bool = strawberry.field(
        description="True for the roles of Postern, which cannot be changed."
    )
    permissions: list[str] = strawberry.field(
        description="Permissions that the role grants, as `resource:action`, sorted."
    )
    unknown_permissions: list[str] = strawberry.field(
        description="Permissions of the role that this server does not know, sorted. They have"
        " effect on servers that know them."
    )
    version: int = strawberry.field(
        description="Incremented by each edit; pass it to `updateRole`."
    )

    @classmethod
    def of(cls, role: RoleRecord) -> "Role":
        """Returns a role in its GraphQL form."""
        return _role(role)


# Every user on a page has roles, and there are few of them.
@lru_cache(maxsize=1024)
def _role(role: RoleRecord) -> Role:
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
    """A permission that a role can grant."""

    name: str = strawberry.field(description="`resource:action`, e.g. `users:read`.")
    description: str = strawberry.field(
        description="One sentence about what the permission allows."
    )


@strawberry.type
class RoleQueries:
    """The queries of roles and permissions."""

    @strawberry.field(permission_classes=[HasPermission("users:read")])
    async def roles(self, info: Info) -> list[Role] | None:
        """All roles, sorted by name."""
        context = info.context
        return [Role.of(role) for role in await list_roles(context.auth, context.viewer)]

    @strawberry.field(permission_classes=[HasPermission("users:read")])
    def permissions(self, info: Info) -> list[Permission] | None:
        """All permissions of this server, sorted by name."""
        registry = info.context.auth.permissions
        return [Permission(name=name, description=registry.describe(name)) for name in registry]
