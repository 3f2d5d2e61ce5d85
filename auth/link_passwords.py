"""The password on the page of an email link: the current one, or a new one.

A link proves access to the mailbox. It does not prove who chose the password: a stranger can
register with any address. So a link alone never confirms a password.
"""

from dataclasses import dataclass, field
from uuid import UUID

from auth.errors import PasswordRequired, WrongPassword, as_field
from auth.throttling.budgets import LINK_PASSWORD, Budget
from auth.wiring import Auth


@dataclass(frozen=True, slots=True)
class TypedPassword:
    """The password typed on the page of a link. `new` replaces the password of the account."""

    current: str | None = field(default=None, repr=False)
    new: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class LinkedAccount:
    """The user, or the pending registration, of a link."""

    link_id: UUID
    username: str
    email: str | None
    password_hash: str | None = field(repr=False)


async def verify_or_choose_password(
    auth: Auth, account: LinkedAccount, typed: TypedPassword
) -> str:
    """Returns the hash to store: the stored one if its password was typed, or that of the new one.

    Raises PasswordRequired, WrongPassword, RateLimited, and Refusals with all problems of the new
    password.
    """
    if typed.new is None:
        return await verify_linked_password(auth, account, typed.current)
    auth.password_policy.check(
        typed.new, username=account.username, email=account.email, field="new_password"
    )
    async with auth.throttle.count_failure(_budget(account)):
        return await auth.passwords.hash(typed.new)


async def verify_linked_password(auth: Auth, account: LinkedAccount, password: str | None) -> str:
    """Returns the stored hash if the password is right.

    Raises PasswordRequired, WrongPassword, RateLimited.
    """
    if password is None:
        raise PasswordRequired
    stored = account.password_hash
    async with auth.throttle.count_failure(_budget(account)):
        if not await auth.passwords.verify(password, stored) or stored is None:
            with as_field("password"):
                raise WrongPassword
    return stored


def _budget(account: LinkedAccount) -> Budget:
    # Per link: only a reader of the mailbox can exhaust it. The owner's sign-ins are not delayed.
    return Budget(LINK_PASSWORD, str(account.link_id))
