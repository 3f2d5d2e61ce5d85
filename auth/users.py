"""Find users by ID or name; steps that several changes of a user share."""

from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Select, bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from auth.errors import EditConflict, UserNotFound
from auth.names import canonical, lookup_key
from auth.permissions import Actor, check_may
from auth.records import WITH_ROLES, UserRecord
from auth.user_records import USER_COLUMNS
from auth.wiring import Auth
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
