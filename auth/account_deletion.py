"""The end of an account: by its owner, who proves the password, or by an operator.

The row goes, and with it sessions, links and roles. What the audit trail says of the account stays
until its time is over; it names ids only.
"""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from auth.audit import Action
from auth.authorization import authorized, check_may_grant, own_account
from auth.errors import as_field
from auth.mail.outbox import EmailKind, queue_notice
from auth.permissions import Actor
from auth.reauthentication import act_on_proof, get_proved, prove_password
from auth.records import UserRecord
from auth.roles import check_not_last_admin
from auth.viewers import Viewer
from auth.wiring import Auth
from models.user import User


async def delete_account(auth: Auth, viewer: Viewer, *, password: str) -> UUID:
    """Deletes one's own account. Raises WrongPassword, RateLimited, LastAdmin."""
    with as_field("password"):
        stored = await prove_password(auth, viewer, password, Action.USER_DELETED)

        async def delete(proved: str) -> UUID:
            async with own_account(auth, viewer, Action.USER_DELETED) as operation:
                await _delete(operation.tx, auth, await get_proved(operation, proved))
            return viewer.user_id

        return await act_on_proof(auth, viewer, password, stored, delete)


async def delete_user(auth: Auth, actor: Actor, user_id: UUID) -> UUID:
    """Deletes somebody's account. Raises Forbidden, UserNotFound, LastAdmin."""
    async with authorized(
        auth, actor, Action.USER_DELETED, "users:write", subject_id=user_id
    ) as operation:
        row = await operation.get_subject()
        check_may_grant(operation.actor, UserRecord.of(row, auth.permissions).roles)
        await _delete(operation.tx, auth, row)
    return user_id


async def _delete(tx: AsyncSession, auth: Auth, row: User) -> None:
    await check_not_last_admin(auth.db, tx, UserRecord.of(row, auth.permissions))
    notice = EmailKind.ACCOUNT_DELETED
    queue_notice(tx, auth, notice, user_id=row.id, username=row.username, email=row.email)
    await tx.delete(row)
