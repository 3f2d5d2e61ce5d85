"""Device proofs for callers who proved or set a password without a sign-in."""

from typing import Any
from uuid import UUID

from sqlalchemy import select

from auth.password_marks import list_password_identifiers
from auth.wiring import Auth
from models.user import User


async def issue_device_proof(auth: Auth, user_id: UUID) -> str | None:
    """Returns a device proof for a caller who has just proved or set the password of the user.

    None if the user was deleted since then, or has no password.
    """
    columns: tuple[Any, ...] = (User.password_hash, User.password_mark)
    rows = await auth.db.look_up(select(*columns).where(User.id == user_id))
    row: Any = next(iter(rows), None)
    identifiers = list_password_identifiers(row) if row else []
    if not identifiers:
        return None
    return auth.devices.issue(user_id, identifiers[0], auth.clock.now())
