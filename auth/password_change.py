"""Change one's own password; every other session ends with it."""

from auth.audit import Action
from auth.authorization import own_account
from auth.mail.outbox import EmailKind, queue_notice
from auth.password_marks import make_mark, new_password_id
from auth.passwords.hashing import Share
from auth.reauthentication import act_on_proof, check_new_password, get_proved, prove_password
from auth.sessions import revoke_other_sessions
from auth.throttling.budgets import reset_budgets
from auth.tokens.link_tokens import Purpose
from auth.user_links import end_requests
from auth.viewers import Viewer
from auth.wiring import Auth


async def change_password(auth: Auth, viewer: Viewer, *, current: str, new: str) -> int:
    """Sets a new password for who knows the current one. Returns how many sessions were ended.

    Raises WrongPassword, RateLimited, and Refusals with everything that is wrong with the new one.
    """
    check_new_password(auth, new, username=viewer.user.username, email=viewer.user.email)
    stored = await prove_password(auth, viewer, current, Action.PASSWORD_CHANGED)
    hashed = await auth.passwords.hash(new, share=Share.KNOWN)

    async def change(proved: str) -> int:
        return await _change(auth, viewer, proved, hashed)

    return await act_on_proof(auth, viewer, current, stored, change)


async def _change(auth: Auth, viewer: Viewer, proved: str, hashed: str) -> int:
    async with own_account(auth, viewer, Action.PASSWORD_CHANGED) as operation:
        tx = operation.tx
        # Of two changes at once, the one that proved the older password fails.
        row = await get_proved(operation, proved)
        row.password_hash = hashed
        row.password_mark = make_mark(new_password_id(), hashed)
        row.password_is_temporary = False
        await auth.throttle.reset(tx, *reset_budgets(row.email))
        await end_requests(tx, row.id, Purpose.PASSWORD_RESET, Purpose.EMAIL_CHANGE)
        notice = EmailKind.PASSWORD_CHANGED
        queue_notice(tx, auth, notice, user_id=row.id, username=row.username, email=row.email)
        # A login or a refresh that waits for these rows finds another password, or no session.
        return await revoke_other_sessions(
            tx, viewer.user_id, keep=viewer.session_id, now=operation.at
        )
