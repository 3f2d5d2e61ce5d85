"""Roles: named sets of permissions."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from auth.errors import LastAdmin, RoleNotFound
from auth.permissions import Actor, Permission, PermissionRegistry, check_may
from auth.records import WITH_PERMISSIONS, RoleRecord, UserRecord
from auth.wiring import Auth
from models.database import Database
from models.role import Role, UserRole
from models.user import User

ADMIN = "admin"


async def list_roles(auth: Auth, actor: Actor) -> list[RoleRecord]:
    """Returns all roles, sorted by name. Raises Forbidden."""
    check_may(actor, Permission.USERS_READ)
    async with auth.db.read() as session:
        rows = await session.scalars(select(Role).options(WITH_PERMISSIONS).order_by(Role.name))
        return [RoleRecord.of(row, auth.permissions) for row in rows]


async def find_roles_by_name(auth: Auth, names: Collection[str]) -> list[RoleRecord]:
    """Returns the roles with these names. Raises RoleNotFound if one is missing."""
    async with auth.db.read() as session:
        rows = list(
            await session.scalars(
                select(Role).where(Role.name.in_(names)).options(WITH_PERMISSIONS)
            )
        )
    if len(rows) != len(set(names)):
        raise RoleNotFound
    return [RoleRecord.of(row, auth.permissions) for row in rows]


async def get_roles(
    tx: AsyncSession, registry: PermissionRegistry, role_ids: Sequence[UUID]
) -> list[RoleRecord]:
    """Returns the roles with these IDs and locks them. Raises RoleNotFound if one is missing."""
    rows = list(
        await tx.scalars(
            select(Role)
            .where(Role.id.in_(role_ids))
            .options(WITH_PERMISSIONS)
            # Locked, so that the roles cannot change before they are assigned.
            .order_by(Role.id)
            .with_for_update(read=True),
            execution_options={"populate_existing": True},
        )
    )
    if len(rows) != len(set(role_ids)):
        raise RoleNotFound
    return [RoleRecord.of(row, registry) for row in rows]


async def check_not_last_admin(db: Database, tx: AsyncSession, user: UserRecord) -> None:
    """Checks that there is an active admin besides this user. Raises LastAdmin.

    Holds a lock until the end of the transaction. Otherwise two concurrent demotions would each see
    the other admin.
    """
    if user.disabled or not any(role.name == ADMIN for role in user.roles):
        return
    await db.lock(tx, "administrators")
    other = await tx.scalar(
        select(User.id)
        .join(UserRole, UserRole.user_id == User.id)
        .join(Role, Role.id == UserRole.role_id)
        .where(Role.name == ADMIN, User.disabled_at.is_(None), User.id != user.id)
        .limit(1)
    )
    if other is None:
        raise LastAdmin
