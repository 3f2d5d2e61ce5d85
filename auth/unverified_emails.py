"""Unverified email addresses: another account that verifies the address gets it.

A stranger can register with any address, so the owner of the mailbox must be able to get it back.
"""

from uuid import UUID

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from auth.names import canonical
from auth.permissions import DEFAULT_ROLE
from auth.tokens.link_tokens import Purpose
from auth.user_creation import find_email_holder
from auth.user_links import end_links
from auth.users import set_email
from auth.wiring import Auth
from models.role import Role
from models.user import User


async def can_be_verified(auth: Auth, email: str, *, except_for: UUID | None = None) -> bool:
    """Returns whether an account that verifies the address would get it."""
    if not await find_email_holder(auth, email, except_for=except_for):
        return True
    async with auth.db.read() as session:
        return await find_unverified_holder(session, email, except_for=except_for) is not None


async def find_unverified_holder(
    session: AsyncSession, email: str, *, except_for: UUID | None = None
) -> UUID | None:
    """Returns the user who would lose the address to an account that verifies it."""
    holder = await session.scalar(_unverified(User.email_key == canonical(email)))
    return None if holder is None or holder.id == except_for else holder.id


async def release_email(tx: AsyncSession, holder_id: UUID | None) -> dict[str, str]:
    """Removes the address from the user, unless the user has verified it since.

    Returns the details for the audit event.
    """
    if holder_id is None:
        return {}
    query = _unverified(User.id == holder_id).with_for_update(of=User)
    row = await tx.scalar(query, execution_options={"populate_existing": True})
    if row is None:
        return {}
    set_email(row, None, verified_at=None)
    row.version += 1
    await end_links(tx, row.id, *Purpose)
    # The unique index needs the address to be free before another row gets it.
    await tx.flush()
    return {"email_taken_from": str(row.id)}


def _unverified(condition: ColumnElement[bool]) -> Select[User]:
    # An admin gave the account its other roles, so it does not belong to a stranger.
    others = User.roles.any(Role.name != DEFAULT_ROLE)
    return select(User).where(condition, User.email_verified_at.is_(None), ~others)
