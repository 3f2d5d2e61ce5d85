"""Find users by ID or name; steps that several changes of a user share."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, false, select
from sqlalchemy.ext.asyncio import AsyncSession

from auth.errors import EditConflict, UserNotFound
from auth.names import canonical, lookup_key
from auth.permissions import Actor, Permission, check_may
from auth.records import WITH_ROLES, UserRecord
from auth.user_rows import USER_COLUMNS
from auth.wiring import Auth
from models.user import User

USER_BY_ID = select(*USER_COLUMNS).where(User.id == bindparam("id"))
_ANY_USER = select(User.id).limit(1)


async def find_user(auth: Auth, actor: Actor, user_id: UUID) -> UserRecord | None:
    """Returns the user with this ID. Other users need `users:read`. Raises Forbidden."""
    if actor.user_id != user_id:
        check_may(actor, Permission.USERS_READ)
    rows = await auth.db.look_up(USER_BY_ID, {"id": user_id})
    return next(iter(await auth.user_rows.read(rows)), None)


async def find_user_by_name(auth: Auth, name: str) -> UserRecord | None:
    """Returns the user with this username or email address."""
    async with auth.db.read() as session:
        row = await session.scalar(select(User).where(is_named(name)).options(WITH_ROLES))
        return UserRecord.of(row, auth.permissions) if row else None


async def has_users(auth: Auth) -> bool:
    """Returns whether any user exists."""
    return bool(await auth.db.look_up(_ANY_USER))


def is_named(name: str) -> ColumnElement[bool]:
    """Returns the condition of the user with this username or email address."""
    key = lookup_key(name)
    if key is None:
        return false()
    # Usernames contain no @.
    return (User.email_key if "@" in name else User.username_key) == key


def check_version(row: User, version: int | None) -> None:
    """Raises EditConflict if the row has another version. None skips the check."""
    if version is not None and version != row.version:
        raise EditConflict


def set_email(row: User, email: str | None, *, verified_at: datetime | None) -> None:
    """Sets the email address. The unique index refuses an address that is taken."""
    row.email, row.email_key = email, canonical(email) if email else None
    row.email_verified_at = verified_at


async def get_row(tx: AsyncSession, user_id: UUID) -> User:
    """Returns the row with its roles, locked until the transaction ends. Raises UserNotFound."""
    query = select(User).where(User.id == user_id).options(WITH_ROLES).with_for_update()
    row = await tx.scalar(query, execution_options={"populate_existing": True})
    if row is None:
        raise UserNotFound
    return row
