"""The list of users: pages, search and filters."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, bindparam, false, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from auth.list_pages import Page
from auth.names import lookup_key, storable
from auth.permissions import Actor, Permission, check_may
from auth.records import UserRecord
from auth.user_rows import USER_COLUMNS
from auth.wiring import Auth
from models.database import Database
from models.role import Role, UserRole
from models.user import User


@dataclass(frozen=True, slots=True)
class UserFilter:
    """Which users to list. None means any.

    `search` is the start of a username or of an email address.
    """

    search: str | None = None
    role: str | None = None
    disabled: bool | None = None


@dataclass(frozen=True, slots=True)
class UserSlice:
    """A page of users, newest first, and whether there are more on either side."""

    users: list[UserRecord]
    has_next: bool
    has_previous: bool


async def list_users(auth: Auth, actor: Actor, *, page: Page, filters: UserFilter) -> UserSlice:
    """Returns a page of the users, newest first. Raises Forbidden.

    IDs sort by creation. So an index finds any page, and new users do not move others to another
    page.
    """
    check_may(actor, Permission.USERS_READ)
    rows = await _read_page(auth.db, page, filters)
    more = len(rows) > page.limit
    users = await auth.user_rows.read(rows[: page.limit])
    if page.backwards:
        return UserSlice(users[::-1], has_next=page.before is not None, has_previous=more)
    return UserSlice(users, has_next=more, has_previous=page.after is not None)


async def _read_page(db: Database, page: Page, filters: UserFilter) -> Sequence[Row[Any]]:
    """Returns the rows of a page, and one more row if there is one."""
    if filters == UserFilter():
        query = _select_neighbours(
            after=page.after is not None, before=page.before is not None, backwards=page.backwards
        )
        values = {"after": page.after, "before": page.before, "limit": page.limit + 1}
        return await db.look_up(query, values)
    async with db.read() as session:
        ids = _select_ids(page, filters, await _find_role_id(session, filters.role))
        # The IDs are found first, so that the database sorts IDs and not whole rows.
        query = select(*USER_COLUMNS).where(User.id.in_(ids))
        order = User.id.asc() if page.backwards else User.id.desc()
        rows: Sequence[Row[Any]] = (await session.execute(query.order_by(order))).all()
        return rows


@cache
def _select_neighbours(*, after: bool, before: bool, backwards: bool) -> Select[Any]:
    # Cached, because building the statement takes as long as running it.
    query = select(*USER_COLUMNS)
    if after:
        query = query.where(User.id < bindparam("after"))
    if before:
        query = query.where(User.id > bindparam("before"))
    order = User.id.asc() if backwards else User.id.desc()
    return query.order_by(order).limit(bindparam("limit"))


async def _find_role_id(session: AsyncSession, name: str | None) -> UUID | None:
    # A query of its own: PostgreSQL chooses the index of the role only for a known role ID.
    if name is None or not storable(name):
        return None
    return await session.scalar(select(Role.id).where(Role.name == name))


def _select_ids(page: Page, filters: UserFilter, role_id: UUID | None) -> Select[UUID]:
    query = select(User.id).where(*_conditions(filters))
    ids: list[InstrumentedAttribute[UUID]] = [User.id]
    if filters.role is not None:
        has_role = UserRole.role_id == role_id if role_id else false()
        query = query.join(UserRole, UserRole.user_id == User.id).where(has_role)
        # The index of the role has its users sorted by ID. Both ID columns are bounded below:
        # otherwise PostgreSQL may scan the index of users from its end.
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
        conditions.append(_starts_with(filters.search))
    if filters.disabled is not None:
        at = User.disabled_at
        conditions.append(at.is_not(None) if filters.disabled else at.is_(None))
    return conditions


def _starts_with(prefix: str) -> ColumnElement[bool]:
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
