"""Reauthentication: a signed-in user types the password again before a sensitive operation."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy import select

from auth.audit import Action, AuditEntry, record
from auth.authorization import Operation
from auth.credentials import RENEWALS, HashChanged
from auth.errors import WrongPassword
from auth.passwords.hashing import Share
from auth.throttling.budgets import REAUTHENTICATION, Budget
from auth.viewers import Viewer
from auth.wiring import Auth
from models.user import User

T = TypeVar("T")


async def verify_current_password(auth: Auth, viewer: Viewer, password: str, action: Action) -> str:
    """Returns the hash of the password if it is right. A failure is recorded as a failed `action`.

    The operation must find the same hash: see `get_verified_row`. Raises WrongPassword,
    RateLimited.
    """
    # Per session: guesses from a stolen session delay neither sign-ins nor other sessions.
    async with auth.throttle.count_failure(Budget(REAUTHENTICATION, str(viewer.session_id))):
        stored = await _verify(auth, viewer, password)
        if stored is None:
            async with auth.db.begin() as tx:
                record(tx, own_audit_entry(auth, viewer, action, succeeded=False))
            raise WrongPassword
    return stored


async def _verify(auth: Auth, viewer: Viewer, password: str) -> str | None:
    """Returns the hash of the viewer's password; None if the password is wrong."""
    async with auth.db.read() as session:
        stored = await session.scalar(select(User.password_hash).where(User.id == viewer.user_id))
    verified = await auth.passwords.verify(password, stored, share=Share.KNOWN)
    return stored if verified else None


async def retry_if_hash_renewed(
    auth: Auth, viewer: Viewer, password: str, stored: str, act: Callable[[str], Awaitable[T]]
) -> T:
    """Calls `act` with the verified hash, and again after a parallel sign-in renewed the hash.

    Raises WrongPassword if the password was changed instead.
    """
    for _ in range(RENEWALS):
        try:
            return await act(stored)
        except HashChanged:
            renewed = await _verify(auth, viewer, password)
            if renewed is None:
                raise WrongPassword from None
            stored = renewed
    raise WrongPassword


def own_audit_entry(
    auth: Auth, viewer: Viewer, action: Action, *, succeeded: bool = True
) -> AuditEntry:
    """Returns the audit event of an operation on the viewer's own account."""
    return AuditEntry.by(
        viewer,
        action,
        auth.clock.now(),
        subject_id=viewer.user_id,
        session_id=viewer.session_id,
        succeeded=succeeded,
    )


async def get_verified_row(operation: Operation, stored: str) -> User:
    """Returns the row of the subject. Raises HashChanged if it has another hash than `stored`."""
    row = await operation.get_subject()
    if row.password_hash != stored:
        raise HashChanged
    return row
