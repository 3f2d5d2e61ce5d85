"""Account deletion: by the user, who types the password, or by an admin.

Deletes the row, and with it sessions, links and roles. Audit events of the account stay until their
retention ends. They contain only IDs.
"""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from auth.audit import Action
from auth.authorization import managed_user, own_account
from auth.errors import as_field
from auth.mail.outbox import EmailKind, queue_notice
from auth.permissions import Actor
from auth.reauthentication import get_verified_row, retry_if_hash_renewed, verify_current_password
from auth.records import UserRecord
from auth.roles import check_not_last_admin
from auth.viewers import Viewer
from auth.wiring import Auth
from models.user import User


async def delete_account(auth: Auth, viewer: Viewer, *, password: str) -> UUID:
    """Deletes the viewer's account. Raises WrongPassword, RateLimited, LastAdmin."""
    with as_field("password"):
        stored = await verify_current_password(auth, viewer, password, Action.USER_DELETED)

        async def delete(verified_hash: str) -> UUID:
            async with own_account(auth, viewer, Action.USER_DELETED) as operation:
                await _delete(operation.tx, auth, await get_verified_row(operation, verified_hash))
            return viewer.user_id

        return await retry_if_hash_renewed(auth, viewer, password, stored, delete)


async def delete_user(auth: Auth, actor: Actor, user_id: UUID) -> UUID:
    """Deletes a user for an admin. Raises Forbidden, UserNotFound, LastAdmin."""
    async with managed_user(auth, actor, Action.USER_DELETED, user_id) as (operation, row):
        await _delete(operation.tx, auth, row)
    return user_id


async def _delete(tx: AsyncSession, auth: Auth, row: User) -> None:
    await check_not_last_admin(auth.db, tx, UserRecord.of(row, auth.permissions))
    queue_notice(tx, auth, EmailKind.ACCOUNT_DELETED, row, row.email)
    await tx.delete(row)
