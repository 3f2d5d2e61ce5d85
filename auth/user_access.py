"""A user's access: an admin disables or enables the user, sets roles, ends sessions."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import delete

from auth.audit import Action, join_detail
from auth.authorization import Operation, authorized, check_may_grant, managed_user
from auth.permissions import Actor, Permission
from auth.records import UserRecord
from auth.roles import ADMIN, check_not_last_admin, get_roles
from auth.sessions import revoke_sessions_of
from auth.throttling.budgets import reset_budgets
from auth.user_creation import give_roles
from auth.users import check_version
from auth.wiring import Auth
from models.role import UserRole
from models.session import RevocationReason


async def set_user_roles(
    auth: Auth,
    actor: Actor,
    user_id: UUID,
    role_ids: Sequence[UUID],
    version: int | None = None,
) -> UserRecord:
    """Replaces the roles of a user.

    Raises Forbidden, UserNotFound, RoleNotFound, EditConflict, LastAdmin.
    """
    async with authorized(
        auth, actor, Action.USER_ROLES_SET, Permission.ROLES_WRITE, subject_id=user_id
    ) as operation:
        tx, row = operation.tx, await operation.get_subject()
        check_version(row, version)
        before = UserRecord.of(row, auth.permissions)
        roles = await get_roles(tx, auth.permissions, role_ids)
        operation.changed = {*roles} != {*before.roles}
        if not operation.changed:
            return before
        # Removing a role needs the same permissions as granting it.
        check_may_grant(operation.actor, {*roles} ^ {*before.roles})
        if not any(role.name == ADMIN for role in roles):
            await check_not_last_admin(auth.db, tx, before)
        row.version += 1
        await tx.flush()
        await tx.execute(delete(UserRole).where(UserRole.user_id == user_id))
        await give_roles(tx, user_id, [role.id for role in roles])
        _describe_roles(operation, {role.name for role in before.roles}, {r.name for r in roles})
        return UserRecord.of(await operation.get_subject(), auth.permissions)


def _describe_roles(operation: Operation, before: set[str], after: set[str]) -> None:
    operation.details["roles"] = join_detail(after)
    for name, roles in (("added", after - before), ("removed", before - after)):
        if roles:
            operation.details[name] = join_detail(roles)


async def disable_user(auth: Auth, actor: Actor, user_id: UUID) -> UserRecord:
    """Disables a user and ends their sessions. Raises Forbidden, UserNotFound, LastAdmin."""
    async with managed_user(auth, actor, Action.USER_DISABLED, user_id) as (operation, row):
        tx, now, user = operation.tx, operation.at, UserRecord.of(row, auth.permissions)
        await check_not_last_admin(auth.db, tx, user)
        row.disabled_at = row.disabled_at or now
        ended = await revoke_sessions_of(tx, user_id, RevocationReason.USER_DISABLED, now)
        operation.changed = ended > 0 or not user.disabled
        return UserRecord.of(row, auth.permissions)


async def enable_user(auth: Auth, actor: Actor, user_id: UUID) -> UserRecord:
    """Enables a user. Sessions that were ended stay ended.

    Raises Forbidden, UserNotFound.
    """
    async with managed_user(auth, actor, Action.USER_ENABLED, user_id) as (operation, row):
        operation.changed = row.disabled_at is not None
        if operation.changed:
            row.disabled_at = None
            # No link was sent while the account was disabled.
            await auth.throttle.reset(operation.tx, *reset_budgets(row.email))
        return UserRecord.of(row, auth.permissions)


async def revoke_user_sessions(auth: Auth, actor: Actor, user_id: UUID) -> int:
    """Ends all sessions of a user. Returns how many. Raises Forbidden, UserNotFound."""
    async with authorized(
        auth, actor, Action.SESSIONS_ENDED, Permission.SESSIONS_REVOKE, subject_id=user_id
    ) as operation:
        await operation.get_subject()
        reason = RevocationReason.REVOKED_BY_OPERATOR
        ended = await revoke_sessions_of(operation.tx, user_id, reason, operation.at)
        operation.changed = ended > 0
        operation.details["sessions"] = str(ended)
        return ended
