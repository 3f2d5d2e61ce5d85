"""Change one's own password; every other session ends with it."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from auth.audit import Act, Action, record
from auth.errors import Refusals, WrongPassword
from auth.sessions import revoke_other_sessions
from auth.throttling import ACCOUNT, Budget
from auth.viewers import Viewer
from auth.wiring import Auth
from models.user import User


async def change_password(auth: Auth, viewer: Viewer, *, current: str, new: str) -> int:
    """Sets a new password for who knows the current one. Returns how many sessions were ended.

    Raises WrongPassword, RateLimited, and Refusals with everything that is wrong with the new one.
    """
    _check_policy(auth, viewer, new)
    budget = Budget(ACCOUNT, f"change of {viewer.user_id}")
    await auth.throttle.attempt(budget)
    stored = await _password_hash(auth, viewer)
    if not await auth.passwords.verify(current, stored):
        async with auth.db.begin() as tx:
            _record(tx, auth, viewer, succeeded=False)
        raise WrongPassword
    await auth.throttle.forgive(budget)
    hashed = await auth.passwords.hash(new)
    async with auth.db.begin() as tx:
        # Two changes at once: the one that proved an older password has lost.
        row = await tx.scalar(
            select(User)
            .where(User.id == viewer.user_id, User.password_hash == stored)
            .with_for_update()
        )
        if row is None:
            raise WrongPassword
        row.password_hash = hashed
        _record(tx, auth, viewer, succeeded=True)
        # A login or a refresh that waits for these rows finds another password, or no session.
        return await revoke_other_sessions(
            tx, viewer.user_id, keep=viewer.session_id, now=auth.clock.now()
        )


def _record(tx: AsyncSession, auth: Auth, viewer: Viewer, *, succeeded: bool) -> None:
    act = Act.by(
        viewer,
        Action.PASSWORD_CHANGED,
        auth.clock.now(),
        subject_id=viewer.user_id,
        session_id=viewer.session_id,
        succeeded=succeeded,
    )
    record(tx, act)


def _check_policy(auth: Auth, viewer: Viewer, new: str) -> None:
    policy = auth.password_policy
    user = viewer.user
    problems = list(policy.problems(new, username=user.username, email=user.email))
    for problem in problems:
        problem.field = "new_password"
    if problems:
        raise Refusals(*problems)


async def _password_hash(auth: Auth, viewer: Viewer) -> str | None:
    async with auth.db.read() as session:
        return await session.scalar(select(User.password_hash).where(User.id == viewer.user_id))
