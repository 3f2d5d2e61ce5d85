"""The ID of a password: it changes with the password, and stays when only the hash is renewed.

Links and device proofs end with the password. A sign-in may replace its hash by one of another kind
or cost, which must not end them. The column `password_mark` holds the ID and a digest of the hash
that it belongs to. So an ID stops counting when another hash is written without it: by a change of
the password, by a process of an older version, or by hand. A password without an ID is known by its
hash.
"""

import secrets
from hashlib import sha256
from typing import Protocol

_ID_BYTES = 16
_ID_LENGTH = 2 * _ID_BYTES


class HasPassword(Protocol):
    """A row of an account, or what was read of it."""

    @property
    def password_hash(self) -> str | None:
        """The hash, if the account has a password."""

    @property
    def password_mark(self) -> str | None:
        """The ID, and a digest of its hash."""


def new_password_id() -> str:
    """The ID of a password that has none yet."""
    return secrets.token_hex(_ID_BYTES)


def make_mark(password_id: str, password_hash: str) -> str:
    """What the column holds for an ID and its hash."""
    return password_id + _digest(password_hash)


def find_password_id(account: HasPassword) -> str | None:
    """The ID of the password, unless it has none."""
    mark, password_hash = account.password_mark, account.password_hash
    if mark is None or password_hash is None or mark[_ID_LENGTH:] != _digest(password_hash):
        return None
    return mark[:_ID_LENGTH]


def names_of_password(account: HasPassword) -> list[str]:
    """All that the password is known by: its ID and its hash."""
    names = [find_password_id(account), account.password_hash]
    return [name for name in names if name is not None]


def have_same_password(one: HasPassword, other: HasPassword) -> bool:
    """Whether both are the same password, perhaps with a renewed hash."""
    return not set(names_of_password(one)).isdisjoint(names_of_password(other))


def _digest(password_hash: str) -> str:
    return sha256(password_hash.encode()).hexdigest()[:_ID_LENGTH]
