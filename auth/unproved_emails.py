"""Addresses of accounts whose owner never proved them.

A stranger can register with the address of another person. The account that proves it gets it.
"""

from uuid import UUID

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from auth.names import canonical
from auth.permissions import DEFAULT_ROLE
from auth.tokens.link_tokens import Purpose
from auth.user_creation import find_owner_of_email
from auth.user_links import end_requests
from auth.users import set_email
from auth.wiring import Auth
from models.role import Role
from models.user import User


async def is_free_to_prove(auth: Auth, email: str, *, but: UUID | None = None) -> bool:
    """Whether an account that proves the address would get it."""
    if not await find_owner_of_email(auth, email, but=but):
        return True
    async with auth.db.read() as session:
        return await find_unproved_holder(session, email, but=but) is not None


async def find_unproved_holder(
    session: AsyncSession, email: str, *, but: UUID | None = None
) -> UUID | None:
    """The other account that has the address and would lose it to one that proves it."""
    holder = await session.scalar(_unproved(User.email_key == canonical(email)))
    return None if holder is None or holder.id == but else holder.id


async def release_email(tx: AsyncSession, holder_id: UUID | None) -> dict[str, str]:
    """Takes the address from the account, unless the account has proved it since.

    Returns what the audit event states about it.
    """
    if holder_id is None:
        return {}
    query = _unproved(User.id == holder_id).with_for_update(of=User)
    row = await tx.scalar(query, execution_options={"populate_existing": True})
    if row is None:
        return {}
    set_email(row, None, verified_at=None)
    row.version += 1
    await end_requests(tx, row.id, *Purpose)
    # The address must be free before another row gets it.
    await tx.flush()
    return {"email_taken_from": str(row.id)}


def _unproved(condition: ColumnElement[bool]) -> Select[User]:
    # An operator gave the account its other roles, so it is not that of a stranger.
    others = User.roles.any(Role.name != DEFAULT_ROLE)
    return select(User).where(condition, User.email_verified_at.is_(None), ~others)
