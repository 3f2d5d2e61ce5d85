"""Credentials: the columns of a user that a sign-in reads and writes."""

from dataclasses import dataclass, field
from datetime import datetime
from itertools import starmap
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from auth.errors import AccountDisabled
from auth.password_marks import find_password_id, make_mark, new_password_id
from auth.users import is_named
from models.database import Database
from models.user import User

# How often an operation starts again because a parallel sign-in renewed the hash it relies on.
RENEWALS = 3


class HashChanged(Exception):
    """The user has another hash than the one that was verified."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user as a sign-in reads it."""

    user_id: UUID
    username: str
    email: str | None
    password_hash: str | None = field(repr=False)
    password_mark: str | None = field(repr=False)
    password_is_temporary: bool
    temporary_password_expires_at: datetime | None
    disabled_at: datetime | None
    created_at: datetime


_COLUMNS: tuple[Any, ...] = (
    *(User.id, User.username, User.email, User.password_hash, User.password_mark),
    *(User.password_is_temporary, User.temporary_password_expires_at, User.disabled_at),
    User.created_at,
)


async def find_credentials(db: Database, username: str) -> Credentials | None:
    """Returns the credentials of the user with this username or email address."""
    return await _find(db, is_named(username))


async def find_credentials_again(db: Database, verified: Credentials) -> Credentials | None:
    """Returns the user's credentials after the hash changed.

    None if the password became temporary, or is no longer temporary.
    """
    found = await _find(db, User.id == verified.user_id)
    if found and found.password_is_temporary != verified.password_is_temporary:
        return None
    return found


async def _find(db: Database, condition: ColumnElement[bool]) -> Credentials | None:
    rows = await db.look_up(select(*_COLUMNS).where(condition))
    return next(starmap(Credentials, rows), None)


async def choose_password_id(tx: AsyncSession, verified: Credentials) -> str:
    """Returns the ID of the password that the user has after this sign-in."""
    if verified.password_is_temporary:
        # The sign-in replaces the password.
        return new_password_id()
    found = find_password_id(verified)
    if found is None:
        # A parallel sign-in may have set an ID. The lock keeps the two from setting different ones.
        query = select(User.password_hash, User.password_mark).where(User.id == verified.user_id)
        row: Any = (await tx.execute(query.with_for_update())).one_or_none()
        found = row and find_password_id(row)
    return found or new_password_id()


async def store_credentials(
    tx: AsyncSession, verified: Credentials, password_hash: str, password_id: str, now: datetime
) -> None:
    """Stores the hash and the time of the sign-in. Raises HashChanged, AccountDisabled."""
    # The password may have changed, or the user may have been disabled, since it was verified.
    kept = (
        update(User)
        .where(
            User.id == verified.user_id,
            User.password_hash == verified.password_hash,
            User.password_is_temporary == verified.password_is_temporary,
        )
        .values(
            password_hash=password_hash,
            password_mark=make_mark(password_id, password_hash),
            password_is_temporary=False,
            last_login_at=now,
        )
        .returning(User.disabled_at)
    )
    row = (await tx.execute(kept)).one_or_none()
    if row is None:
        raise HashChanged
    if row.disabled_at is not None:
        raise AccountDisabled
