"""Password change: users replace their own password, and their other sessions end."""

from auth.audit import Action
from auth.authorization import own_account
from auth.mail.outbox import EmailKind, queue_notice
from auth.password_marks import set_password
from auth.passwords.hashing import Share
from auth.reauthentication import (
    get_verified_row,
    retry_if_hash_renewed,
    verify_current_password,
)
from auth.sessions import revoke_other_sessions
from auth.throttling.budgets import reset_budgets
from auth.tokens.link_tokens import Purpose
from auth.user_links import end_links
from auth.viewers import Viewer
from auth.wiring import Auth


async def change_password(auth: Auth, viewer: Viewer, *, current: str, new: str) -> int:
    """Sets a new password if the current one is right. Returns how many sessions were ended.

    Raises WrongPassword, RateLimited, and Refusals with all problems of the new password.
    """
    auth.password_policy.check(
        new, username=viewer.user.username, email=viewer.user.email, field="new_password"
    )
    stored = await verify_current_password(auth, viewer, current, Action.PASSWORD_CHANGED)
    hashed = await auth.passwords.hash(new, share=Share.KNOWN)

    async def change(verified_hash: str) -> int:
        return await _change(auth, viewer, verified_hash, hashed)

    return await retry_if_hash_renewed(auth, viewer, current, stored, change)


async def _change(auth: Auth, viewer: Viewer, verified_hash: str, hashed: str) -> int:
    async with own_account(auth, viewer, Action.PASSWORD_CHANGED) as operation:
        tx = operation.tx
        # Of two parallel changes, the one that verified the older password fails.
        row = await get_verified_row(operation, verified_hash)
        set_password(row, hashed)
        await auth.throttle.reset(tx, *reset_budgets(row.email))
        await end_links(tx, row.id, Purpose.PASSWORD_RESET, Purpose.EMAIL_CHANGE)
        queue_notice(tx, auth, EmailKind.PASSWORD_CHANGED, row, row.email)
        # A login or a refresh that waits for these rows fails: the password or session changed.
        return await revoke_other_sessions(
            tx, viewer.user_id, keep=viewer.session_id, now=operation.at
        )
