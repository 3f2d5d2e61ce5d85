"""Password IDs: they change with the password, not when a sign-in renews the hash.

Links and device proofs end when the password changes. A sign-in may renew the hash with another
kind or cost, which must not end them. The column `password_mark` contains the ID and a digest of
the hash. If a process of an older version, or an operator, stores another hash without a new mark,
the digest does not match and the ID is ignored. A password without an ID is identified by its hash.
"""

import secrets
from hashlib import sha256
from typing import Protocol

from models.user import User

_ID_BYTES = 16
_ID_LENGTH = 2 * _ID_BYTES


class HasPassword(Protocol):
    """A row of a user, or columns of it."""

    @property
    def password_hash(self) -> str | None:
        """The hash; None if the user has no password."""

    @property
    def password_mark(self) -> str | None:
        """The ID and a digest of its hash."""


def new_password_id() -> str:
    """Returns a new ID."""
    return secrets.token_hex(_ID_BYTES)


def make_mark(password_id: str, password_hash: str) -> str:
    """Returns the value of the column for an ID and its hash."""
    return password_id + _digest(password_hash)


def set_password(user: User, password_hash: str) -> None:
    """Gives the user a permanent password with a new ID."""
    user.password_hash = password_hash
    user.password_mark = make_mark(new_password_id(), password_hash)
    user.password_is_temporary = False


def find_password_id(account: HasPassword) -> str | None:
    """Returns the ID of the password; None if it has none."""
    mark, password_hash = account.password_mark, account.password_hash
    if mark is None or password_hash is None or mark[_ID_LENGTH:] != _digest(password_hash):
        return None
    return mark[:_ID_LENGTH]


def list_password_identifiers(account: HasPassword) -> list[str]:
    """Returns the identifiers of the password: its ID, if it has one, and its hash."""
    identifiers = [find_password_id(account), account.password_hash]
    return [identifier for identifier in identifiers if identifier is not None]


def have_same_password(one: HasPassword, other: HasPassword) -> bool:
    """Returns whether both rows have the same password, even if one hash was renewed."""
    return not set(list_password_identifiers(one)).isdisjoint(list_password_identifiers(other))


def _digest(password_hash: str) -> str:
    return sha256(password_hash.encode()).hexdigest()[:_ID_LENGTH]
