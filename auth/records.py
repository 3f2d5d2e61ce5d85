"""Records: users and roles as immutable values, without rows and without secrets."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.orm import selectinload

from auth.permissions import PermissionRegistry
from models.role import Role
from models.stored import read_instant, read_uuid
from models.user import User

WITH_PERMISSIONS = selectinload(Role.permissions)
WITH_ROLES = selectinload(User.roles).selectinload(Role.permissions)


@dataclass(frozen=True, slots=True)
class RoleRecord:
    """A role."""

    id: UUID
    name: str
    description: str
    built_in: bool
    permissions: frozenset[str]
    version: int
    # Stored permissions that this process does not know, because another deployment defines them.
    unknown_permissions: frozenset[str]
    # What an actor must hold to grant the role: see `PermissionRegistry.privileges`.
    privileges: frozenset[str] = field(compare=False)

    @classmethod
    def of(cls, row: Role, registry: PermissionRegistry) -> "RoleRecord":
        """Reads a row that was loaded `WITH_PERMISSIONS`."""
        return cls.granting(row, [p.permission for p in row.permissions], registry)

    @classmethod
    def granting(
        cls, row: Role | Row[Any], granted: Collection[str], registry: PermissionRegistry
    ) -> "RoleRecord":
        """Reads a row whose permissions were read separately."""
        return cls(
            id=row.id,
            name=row.name,
            description=row.description,
            built_in=row.built_in,
            permissions=registry.expand(granted),
            version=row.version,
            unknown_permissions=registry.unknown(granted),
            privileges=registry.privileges(row.name, granted),
        )


@dataclass(frozen=True, slots=True)
class UserRecord:
    """A user at one moment, without the password hash."""

    id: UUID
    username: str
    email: str | None
    email_verified: bool
    full_name: str | None
    disabled: bool
    roles: tuple[RoleRecord, ...]
    permissions: frozenset[str]
    created_at: datetime
    last_login_at: datetime | None
    version: int

    def __hash__(self) -> int:
        # Enough to find the same user, and fast: each request does it.
        return hash(self.id.int)

    @classmethod
    def of(cls, row: User, registry: PermissionRegistry) -> "UserRecord":
        """Reads a row that was loaded `WITH_ROLES`."""
        roles = tuple(RoleRecord.of(role, registry) for role in row.roles)
        return cls(
            id=row.id,
            username=row.username,
            email=row.email,
            email_verified=row.email_verified_at is not None,
            full_name=row.full_name,
            disabled=row.disabled_at is not None,
            roles=roles,
            permissions=permissions_of(roles),
            created_at=row.created_at,
            last_login_at=row.last_login_at,
            version=row.version,
        )

    @classmethod
    def of_stored(
        cls,
        stored: tuple[Any, ...],
        roles: tuple[RoleRecord, ...],
        permissions: frozenset[str],
    ) -> "UserRecord":
        """Reads `user_rows.USER_COLUMNS`, as the driver returns them."""
        id_, username, email, full_name, verified, disabled, created, last_login, version, _ = (
            stored
        )
        return cls(
            id=read_uuid(id_),
            username=username,
            email=email,
            email_verified=verified is not None,
            full_name=full_name,
            disabled=disabled is not None,
            roles=roles,
            permissions=permissions,
            created_at=read_instant(created),
            last_login_at=None if last_login is None else read_instant(last_login),
            version=version,
        )


def permissions_of(roles: Sequence[RoleRecord]) -> frozenset[str]:
    """Returns what the roles permit together."""
    return frozenset[str]().union(*(role.permissions for role in roles))
