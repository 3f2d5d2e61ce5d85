"""What a sign-in reads of an account, and what it writes back."""

from dataclasses import dataclass, field
from datetime import datetime
from itertools import starmap
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from auth.errors import AccountDisabled
from auth.password_marks import find_password_id, make_mark, new_password_id
from auth.users import UserColumn, select_by_name
from models.base import Base
from models.database import Database
from models.user import User

# How often an act starts again because a parallel sign-in renewed the hash that it relies on.
RENEWALS = 3


class HashChanged(Exception):
    """The account has another hash than the one that was verified."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """An account as a sign-in sees it."""

    user_id: UUID
    username: str
    email: str | None
    password_hash: str | None = field(repr=False)
    password_mark: str | None = field(repr=False)
    password_is_temporary: bool
    temporary_password_expires_at: datetime | None
    disabled_at: datetime | None
    created_at: datetime


async def find_credentials(db: Database, username: str) -> Credentials | None:
    """Those of the account with this username or email address."""
    rows = await db.look_up(*select_by_name(username, *_COLUMNS))
    return next(starmap(Credentials, rows), None)


async def find_again(db: Database, proved: Credentials) -> Credentials | None:
    """The same account after its hash changed; None if its password is a temporary one instead."""
    rows = await db.look_up(_BY_ID, {"id": proved.user_id})
    found = next(starmap(Credentials, rows), None)
    if found and found.password_is_temporary != proved.password_is_temporary:
        return None
    return found


async def hold_password_id(connection: AsyncConnection, proved: Credentials) -> str:
    """The ID of the password that this sign-in keeps; a new one where it has none."""
    if proved.password_is_temporary:
        # The sign-in replaces it.
        return new_password_id()
    found = find_password_id(proved)
    if found is None:
        # A parallel sign-in may have given it one since. The lock keeps the two from differing.
        row: Any = (await connection.execute(_HOLD, {"id": proved.user_id})).one_or_none()
        found = row and find_password_id(row)
    return found or new_password_id()


async def keep_credentials(
    connection: AsyncConnection,
    proved: Credentials,
    password_hash: str,
    password_id: str,
    now: datetime,
) -> None:
    """Writes the login and the hash to the account. Raises HashChanged, AccountDisabled."""
    whose = {
        "row": proved.user_id,
        "proved": proved.password_hash,
        "proved_temporary": proved.password_is_temporary,
    }
    kept = {
        "password_hash": password_hash,
        "password_mark": make_mark(password_id, password_hash),
        "password_is_temporary": False,
        "last_login_at": now,
    }
    # While the password was verified it may have been changed, or the account disabled: what was
    # proved must still hold in the transaction that acts on it.
    rows = await connection.execute(_KEEP, whose | kept)
    row = rows.one_or_none()
    if row is None:
        raise HashChanged
    if row.disabled_at is not None:
        raise AccountDisabled


_COLUMNS: tuple[UserColumn, ...] = (
    *(User.id, User.username, User.email, User.password_hash, User.password_mark),
    *(User.password_is_temporary, User.temporary_password_expires_at, User.disabled_at),
    User.created_at,
)
_BY_ID = select(*_COLUMNS).where(User.id == bindparam("id"))
_HOLD = (
    select(User.password_hash, User.password_mark)
    .where(User.id == bindparam("id"))
    .with_for_update()
)
_USERS = Base.metadata.tables[User.__tablename__]
_KEEP = (
    update(_USERS)
    .where(
        _USERS.c.id == bindparam("row"),
        _USERS.c.password_hash == bindparam("proved"),
        _USERS.c.password_is_temporary == bindparam("proved_temporary"),
    )
    .returning(_USERS.c.disabled_at)
)
