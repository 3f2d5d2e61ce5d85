"""What crosses the floors: accounts and roles as plain values, without rows and without secrets."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.orm import selectinload

from auth.permissions import PermissionRegistry
from models.role import Role
from models.user import User

WITH_PERMISSIONS = selectinload(Role.permissions)
WITH_ROLES = selectinload(User.roles).selectinload(Role.permissions)


@dataclass(frozen=True, slots=True)
class RoleRecord:
    """A role as the other floors see it."""

    id: UUID
    name: str
    description: str
    built_in: bool
    permissions: frozenset[str]
    version: int
    # Stored, and not known to this process: permissions of another deployment.
    unknown_permissions: frozenset[str]
    # What its owner must hold to give it to others: see `PermissionRegistry.powers`.
    powers: frozenset[str] = field(compare=False)

    @classmethod
    def of(cls, row: Role, registry: PermissionRegistry) -> "RoleRecord":
        """Reads a row whose permissions were loaded with it."""
        return cls.granting(row, [p.permission for p in row.permissions], registry)

    @classmethod
    def granting(
        cls, row: Role | Row[Any], granted: Collection[str], registry: PermissionRegistry
    ) -> "RoleRecord":
        """Reads a row, and beside it what the role grants."""
        return cls(
            id=row.id,
            name=row.name,
            description=row.description,
            built_in=row.built_in,
            permissions=registry.expand(granted),
            version=row.version,
            unknown_permissions=registry.unknown(granted),
            powers=registry.powers(row.name, granted),
        )


@dataclass(frozen=True, slots=True)
class UserRecord:
    """An account as the other floors see it, at one moment: without its password hash."""

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
        # Enough to find the same account by, and quick: one is looked up at each request.
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
            permissions=frozenset[str]().union(*(role.permissions for role in roles)),
            created_at=row.created_at,
            last_login_at=row.last_login_at,
            version=row.version,
        )
