"""The password on the page of a link: the one of the account typed again, or a new one.

Following a link proves who reads the mailbox. It does not prove who chose the password: a stranger
can register with any address. So a link alone never confirms a password.
"""

from dataclasses import dataclass, field
from uuid import UUID

from auth.errors import PasswordRequired, WrongPassword, as_field
from auth.reauthentication import check_new_password
from auth.throttling.budgets import LINK_PASSWORD, Budget
from auth.wiring import Auth


@dataclass(frozen=True, slots=True)
class TypedPassword:
    """What was typed on the page of a link; `new` takes the place of `current`."""

    current: str | None = field(default=None, repr=False)
    new: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class LinkedAccount:
    """The account, or the registration, that a link is about."""

    link_id: UUID
    username: str
    email: str | None
    password_hash: str | None = field(repr=False)


async def prove_or_choose_password(auth: Auth, account: LinkedAccount, typed: TypedPassword) -> str:
    """Returns the hash to keep: the stored one if its password was typed, or that of the new one.

    Raises PasswordRequired, WrongPassword, RateLimited, and Refusals with everything that is wrong
    with the new password.
    """
    if typed.new is None:
        return await prove_linked_password(auth, account, typed.current)
    check_new_password(auth, typed.new, username=account.username, email=account.email)
    async with auth.throttle.count_failure(_budget(account)):
        return await auth.passwords.hash(typed.new)


async def prove_linked_password(auth: Auth, account: LinkedAccount, password: str | None) -> str:
    """Returns the stored hash if the password is its own.

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
    # Per link: only a reader of the mailbox can use it up, and the owner's sign-in does not wait.
    return Budget(LINK_PASSWORD, str(account.link_id))
