"""The end of an account: by its owner, who proves the password, or by an operator.

The row goes, and with it sessions, links and roles. What the audit trail says of the account stays
until its time is over; it names ids only.
"""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from auth.audit import Act, Action, record
from auth.errors import about_field
from auth.outbox import Kind, queue_notice
from auth.policies import Actor, check_may
from auth.reauthentication import get_proved, own_act, prove_password
from auth.records import UserRecord
from auth.roles import check_may_grant, check_not_last_admin
from auth.users import get_row
from auth.viewers import Viewer
from auth.wiring import Auth
from models.user import User


async def delete_account(auth: Auth, viewer: Viewer, *, password: str) -> UUID:
    """Deletes one's own account. Raises WrongPassword, RateLimited, LastAdmin."""
    with about_field("password"):
        stored = await prove_password(auth, viewer, password, Action.USER_DELETED)
    async with auth.db.begin() as tx:
        with about_field("password"):
            row = await get_proved(tx, viewer, stored)
        await _delete(tx, auth, row, own_act(auth, viewer, Action.USER_DELETED))
    return viewer.user_id


async def delete_user(auth: Auth, actor: Actor, user_id: UUID) -> UUID:
    """Deletes somebody's account. Raises Forbidden, UserNotFound, LastAdmin."""
    check_may(actor, "users:write")
    async with auth.db.begin() as tx:
        row = await get_row(tx, user_id)
        check_may_grant(actor, UserRecord.of(row, auth.permissions).roles)
        now = auth.clock.now()
        act = Act.by(actor, Action.USER_DELETED, now, subject_id=user_id)
        await _delete(tx, auth, row, act)
    return user_id


async def _delete(tx: AsyncSession, auth: Auth, row: User, act: Act) -> None:
    await check_not_last_admin(auth.db, tx, UserRecord.of(row, auth.permissions))
    notice = Kind.ACCOUNT_DELETED
    queue_notice(tx, auth, notice, user_id=row.id, username=row.username, email=row.email)
    record(tx, act)
    await tx.delete(row)
