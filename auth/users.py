"""Accounts as operators see them: find, list, create, disable, enable, give roles."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, bindparam, delete, false, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from auth.audit import Action, listed
from auth.authorization import Operation, authorized, check_may_all, check_may_grant
from auth.budgets import reset_budgets
from auth.errors import EditConflict, UserNotFound
from auth.links import Purpose
from auth.names import canonical, lookup_key, storable
from auth.new_users import (
    NewUserForm,
    give_roles,
    insert_user,
    prepare_user,
    telling_taken_names,
)
from auth.operator_mail import count_operator_mail
from auth.outbox import Kind
from auth.pages import Page
from auth.policies import Actor, check_may
from auth.records import WITH_ROLES, UserRecord
from auth.roles import ADMIN, check_not_last_admin, get_roles
from auth.sessions import revoke_sessions_of
from auth.user_links import send_link
from auth.user_rows import USER_COLUMNS
from auth.wiring import Auth
from models.database import Database
from models.role import Role, UserRole
from models.session import RevocationReason
from models.user import User


@dataclass(frozen=True, slots=True)
class UserFilter:
    """Which users to list; what is None does not matter.

    `search` is the beginning of a username or of an e-mail address.
    """

    search: str | None = None
    role: str | None = None
    disabled: bool | None = None


@dataclass(frozen=True, slots=True)
class UserSlice:
    """The users of a page, newest first, and whether there are more on either side."""

    users: list[UserRecord]
    has_next: bool
    has_previous: bool


UserColumn = InstrumentedAttribute[Any]

USER_BY_ID = select(*USER_COLUMNS).where(User.id == bindparam("id"))


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


async def list_users(auth: Auth, actor: Actor, *, page: Page, filters: UserFilter) -> UserSlice:
    """One page of the accounts, newest first. Raises Forbidden.

    Ids sort by creation, so a page is found by its id however many come before it, and users who
    register meanwhile move nobody to another page.
    """
    check_may(actor, "users:read")
    rows = await _read_page(auth.db, page, filters)
    more = len(rows) > page.limit
    users = await auth.user_rows.read(rows[: page.limit])
    if page.backwards:
        return UserSlice(users[::-1], has_next=page.before is not None, has_previous=more)
    return UserSlice(users, has_next=more, has_previous=page.after is not None)


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


async def _read_page(db: Database, page: Page, filters: UserFilter) -> Sequence[Row[Any]]:
    """The rows of a page, and of one user more if there is one."""
    if filters == UserFilter():
        query = _select_neighbours(
            after=page.after is not None, before=page.before is not None, backwards=page.backwards
        )
        values = {"after": page.after, "before": page.before, "limit": page.limit + 1}
        return await db.look_up(query, values)
    async with db.read() as session:
        ids = _select_ids(page, filters, await _find_role_id(session, filters.role))
        # Ids first: what must be sorted, or is passed by, need not be put together.
        query = select(*USER_COLUMNS).where(User.id.in_(ids))
        order = User.id.asc() if page.backwards else User.id.desc()
        rows: Sequence[Row[Any]] = (await session.execute(query.order_by(order))).all()
        return rows


@cache
def _select_neighbours(*, after: bool, before: bool, backwards: bool) -> Select[Any]:
    # Put together once: that takes as long as to run it.
    query = select(*USER_COLUMNS)
    if after:
        query = query.where(User.id < bindparam("after"))
    if before:
        query = query.where(User.id > bindparam("before"))
    order = User.id.asc() if backwards else User.id.desc()
    return query.order_by(order).limit(bindparam("limit"))


async def _find_role_id(session: AsyncSession, name: str | None) -> UUID | None:
    # Asked first: only for a role that it knows can PostgreSQL tell that its index is best walked.
    if name is None or not storable(name):
        return None
    return await session.scalar(select(Role.id).where(Role.name == name))


def _select_ids(page: Page, filters: UserFilter, role_id: UUID | None) -> Select[UUID]:
    query = select(User.id).where(*_conditions(filters))
    ids: list[InstrumentedAttribute[UUID]] = [User.id]
    if filters.role is not None:
        has_it = UserRole.role_id == role_id if role_id else false()
        query = query.join(UserRole, UserRole.user_id == User.id).where(has_it)
        # The role's own index holds its users in order of their ids: walked, not sorted. Both ids
        # are bounded below, or PostgreSQL walks the other index from its very end.
        ids.insert(0, UserRole.user_id)
    if page.after is not None:
        query = query.where(*(id_ < page.after for id_ in ids))
    if page.before is not None:
        query = query.where(*(id_ > page.before for id_ in ids))
    order = ids[0].asc() if page.backwards else ids[0].desc()
    return query.order_by(order).limit(page.limit + 1)


def _conditions(filters: UserFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if filters.search is not None:
        conditions.append(_begins_with(filters.search))
    if filters.disabled is not None:
        at = User.disabled_at
        conditions.append(at.is_not(None) if filters.disabled else at.is_(None))
    return conditions


def _begins_with(prefix: str) -> ColumnElement[bool]:
    key = lookup_key(prefix)
    if key is None:
        return false()
    # A range instead of LIKE: it uses the unique index on both databases and has no wildcards that
    # a caller could put in.
    last = key + "\U0010ffff"
    return or_(
        User.username_key.between(key, last),
        User.email_key.between(key, last),
    )
