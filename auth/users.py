"""Accounts as operators see them: find, create, disable, enable, give roles."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Select, bindparam, delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from auth.audit import Action, listed
from auth.authorization import Operation, authorized, check_may_all, check_may_grant
from auth.errors import EditConflict, UserNotFound
from auth.mail.operator_budget import count_operator_mail
from auth.mail.outbox import Kind
from auth.names import canonical, lookup_key
from auth.permissions import Actor, check_may
from auth.records import WITH_ROLES, UserRecord
from auth.roles import ADMIN, check_not_last_admin, get_roles
from auth.sessions import revoke_sessions_of
from auth.throttling.budgets import reset_budgets
from auth.tokens.link_tokens import Purpose
from auth.user_creation import (
    NewUserForm,
    give_roles,
    insert_user,
    prepare_user,
    telling_taken_names,
)
from auth.user_links import send_link
from auth.user_records import USER_COLUMNS
from auth.wiring import Auth
from models.role import UserRole
from models.session import RevocationReason
from models.user import User

UserColumn = InstrumentedAttribute[Any]

USER_BY_ID = select(*USER_COLUMNS).where(User.id == bindparam("id"))
_ANY_USER = select(User.id).limit(1)


async def find_user(auth: Auth, actor: Actor, user_id: UUID) -> UserRecord | None:
    """The user with this id: anybody's own, or any for `users:read`. Raises Forbidden."""
    if actor.user_id != user_id:
        check_may(actor, "users:read")
    rows = await auth.db.look_up(USER_BY_ID, {"id": user_id})
    return next(iter(await auth.user_rows.read(rows)), None)


async def find_user_by_name(auth: Auth, name: str) -> UserRecord | None:
    """The user with this username or e-mail address."""
    async with auth.db.read() as session:
        query, values = select_by_name(name)
        row = await session.scalar(query.options(WITH_ROLES), values)
        return UserRecord.of(row, auth.permissions) if row else None


async def has_users(auth: Auth) -> bool:
    """Whether there is any account."""
    return bool(await auth.db.look_up(_ANY_USER))


def select_by_name(name: str, *columns: UserColumn) -> tuple[Select[Any], dict[str, Any]]:
    """The user whose username or e-mail address this is, or these columns; and the query's values.

    The query is made once, which takes as long as to run it.
    """
    # Usernames hold no @.
    key = User.email_key if "@" in name else User.username_key
    return _select_by_key(key, columns), {"key": lookup_key(name)}


@cache
def _select_by_key(key: UserColumn, columns: tuple[UserColumn, ...]) -> Select[Any]:
    # What is no name has no key: null, which is equal to nothing.
    return select(*(columns or (User,))).where(key == bindparam("key"))


async def create_user(
    auth: Auth, actor: Actor, form: NewUserForm, role_ids: Sequence[UUID]
) -> UserRecord:
    """Creates an account for somebody else.

    A password that the operator gives must be replaced by its owner at the first login; without one
    the owner is sent a link to choose theirs (ASVS 5.0, 6.4.1). At the console it is kept: whoever
    is there may be the owner. Raises Forbidden, RoleNotFound, RateLimited, and Refusals with
    everything that is wrong with the form.
    """
    needed = ("users:write", "roles:write") if role_ids else ("users:write",)
    check_may_all(actor, needed)
    prepared = await prepare_user(auth, form)
    chosen_by_another = actor.user_id is not None and form.password is not None
    new = replace(prepared, password_is_temporary=chosen_by_another)
    async with (
        telling_taken_names(auth, new.username, new.email),
        authorized(auth, actor, Action.USER_CREATED, *needed) as operation,
    ):
        tx = operation.tx
        roles = await get_roles(tx, auth.permissions, role_ids)
        check_may_grant(operation.actor, roles)
        row = await insert_user(tx, auth, new, [role.id for role in roles])
        operation.subject_id = row.id
        if row.email and row.password_hash is None:
            await count_operator_mail(auth, operation, row.email)
            await send_link(tx, auth, row, Purpose.PASSWORD_RESET, Kind.ACCOUNT_CREATED)
        return UserRecord.of(row, auth.permissions)


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
        auth, actor, Action.USER_ROLES_SET, "roles:write", subject_id=user_id
    ) as operation:
        tx, row = operation.tx, await operation.get_subject()
        check_version(row, version)
        before = UserRecord.of(row, auth.permissions)
        roles = await get_roles(tx, auth.permissions, role_ids)
        operation.changed = {*roles} != {*before.roles}
        if not operation.changed:
            return before
        # Taking a role needs the same rights as giving it.
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
    operation.details["roles"] = listed(after)
    for name, roles in (("added", after - before), ("removed", before - after)):
        if roles:
            operation.details[name] = listed(roles)


async def disable_user(auth: Auth, actor: Actor, user_id: UUID) -> UserRecord:
    """Disables an account and ends its sessions. Raises Forbidden, UserNotFound, LastAdmin."""
    async with authorized(
        auth, actor, Action.USER_DISABLED, "users:write", subject_id=user_id
    ) as operation:
        tx, row, now = operation.tx, await operation.get_subject(), operation.at
        user = UserRecord.of(row, auth.permissions)
        check_may_grant(operation.actor, user.roles)
        await check_not_last_admin(auth.db, tx, user)
        row.disabled_at = row.disabled_at or now
        ended = await revoke_sessions_of(tx, user_id, RevocationReason.USER_DISABLED, now)
        operation.changed = ended > 0 or not user.disabled
        return UserRecord.of(row, auth.permissions)


async def enable_user(auth: Auth, actor: Actor, user_id: UUID) -> UserRecord:
    """Lets the user sign in again. The sessions that were ended stay ended.

    Raises Forbidden, UserNotFound.
    """
    async with authorized(
        auth, actor, Action.USER_ENABLED, "users:write", subject_id=user_id
    ) as operation:
        row = await operation.get_subject()
        check_may_grant(operation.actor, UserRecord.of(row, auth.permissions).roles)
        operation.changed = row.disabled_at is not None
        if operation.changed:
            row.disabled_at = None
            # No link was sent while the account was disabled.
            await auth.throttle.forget(operation.tx, *reset_budgets(row.email))
        return UserRecord.of(row, auth.permissions)


def check_version(row: User, version: int | None) -> None:
    """Raises EditConflict if the row is not the one that was looked at; None looks at none."""
    if version is not None and version != row.version:
        raise EditConflict


def set_email(row: User, email: str | None, *, verified_at: datetime | None) -> None:
    """Gives an account another address; whether it is taken, the index says."""
    row.email, row.email_key = email, canonical(email) if email else None
    row.email_verified_at = verified_at


async def get_row(tx: AsyncSession, user_id: UUID) -> User:
    """The row with its roles, held until the transaction ends. Raises UserNotFound."""
    query = select(User).where(User.id == user_id).options(WITH_ROLES).with_for_update()
    row = await tx.scalar(query, execution_options={"populate_existing": True})
    if row is None:
        raise UserNotFound
    return row
