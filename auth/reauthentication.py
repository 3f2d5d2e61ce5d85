"""Who is signed in proves the password once more, before something that cannot be undone."""

from sqlalchemy import select

from auth.audit import Act, Action, record
from auth.authorization import Operation
from auth.errors import Refusals, WrongPassword, about_field
from auth.throttling import ACCOUNT, Budget
from auth.viewers import Viewer
from auth.wiring import Auth
from models.user import User


async def prove_password(auth: Auth, viewer: Viewer, password: str, action: Action) -> str:
    """Returns the hash that was proved: the transaction that acts must still find it.

    A failure is recorded as a failed `action`. Raises WrongPassword, RateLimited.
    """
    # Not the budget of logins: who guesses there must not keep the owner from acting here.
    budget = Budget(ACCOUNT, f"change of {viewer.user_id}")
    await auth.throttle.attempt(budget)
    async with auth.db.read() as session:
        stored = await session.scalar(select(User.password_hash).where(User.id == viewer.user_id))
    if stored is None or not await auth.passwords.verify(password, stored):
        async with auth.db.begin() as tx:
            record(tx, own_act(auth, viewer, action, succeeded=False))
        raise WrongPassword
    await auth.throttle.forgive(budget)
    return stored


def own_act(auth: Auth, viewer: Viewer, action: Action, *, succeeded: bool = True) -> Act:
    """What a viewer does to their own account."""
    return Act.by(
        viewer,
        action,
        auth.clock.now(),
        subject_id=viewer.user_id,
        session_id=viewer.session_id,
        succeeded=succeeded,
    )


def check_new_password(auth: Auth, new: str, *, username: str, email: str | None) -> None:
    """Raises Refusals with everything that is wrong with a `new_password`."""
    problems = list(auth.password_policy.problems(new, username=username, email=email))
    if problems:
        with about_field("new_password"):
            raise Refusals(*problems)


async def get_proved(operation: Operation, stored: str) -> User:
    """The row of the subject, if its password is still the one that was proved.

    Raises WrongPassword.
    """
    row = await operation.get_subject()
    if row.password_hash != stored:
        raise WrongPassword
    return row
