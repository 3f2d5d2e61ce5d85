"""Roles in GraphQL."""

from typing import Self

import strawberry

from auth.records import RoleRecord
from auth.roles import list_roles
from graph.context import Info
from graph.permissions import HasPermission


@strawberry.type(description="A named set of permissions.")
class Role:
    """A role."""

    id: strawberry.ID = strawberry.field(description="UUID of the role.")
    name: str = strawberry.field(description="Unique name, e.g. `admin`.")
    description: str = strawberry.field(description="One sentence on what the role is for.")
    built_in: bool = strawberry.field(
        description="Whether the role comes with Postern and cannot be deleted."
    )
    permissions: list[str] = strawberry.field(
        description="What the role permits, each as `resource:action`, sorted."
    )

    @classmethod
    def of(cls, role: RoleRecord) -> Self:
        """Shows a role."""
        return cls(
            id=strawberry.ID(str(role.id)),
            name=role.name,
            description=role.description,
            built_in=role.built_in,
            permissions=sorted(role.permissions),
        )


@strawberry.type
class RoleQueries:
    """Root fields about roles."""

    @strawberry.field(
        description="Every role, by name.", permission_classes=[HasPermission("users:read")]
    )
    async def roles(self, info: Info) -> list[Role] | None:
        context = info.context
        return [Role.of(role) for role in await list_roles(context.auth, context.viewer)]
