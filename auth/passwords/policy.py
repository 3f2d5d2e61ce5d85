"""The password policy, after NIST SP 800-63B-4, section 3.1.1.2.

There is a minimum length, no rule of composition and no expiry. Common and personal passwords are
rejected with the reason.
"""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from auth.errors import (
    PasswordInvalid,
    PasswordTooCommon,
    PasswordTooLong,
    PasswordTooPersonal,
    PasswordTooShort,
    Refusal,
    Refusals,
    as_field,
)
from auth.passwords.hashing import PASSWORD_MAX_LENGTH, is_acceptable_input, normalise

PRODUCT_NAME = "postern"
# Shorter names occur in good passwords by chance.
PERSONAL_MIN_LENGTH = 3


@dataclass(frozen=True, slots=True)
class PasswordPolicy:
    """The requirements for new passwords. Lengths are in characters (code points)."""

    minimum_length: int = 8

    def check(
        self, password: str, *, username: str, email: str | None, field: str = "password"
    ) -> None:
        """Raises Refusals with all problems of the password, which the input calls `field`."""
        problems = list(self.problems(password, username=username, email=email))
        if problems:
            with as_field(field):
                raise Refusals(*problems)

    def problems(self, password: str, *, username: str, email: str | None) -> Iterator[Refusal]:
        """Yields every problem of a password, so that a form can show them together."""
        # Checked before normalising, which takes long for long text.
        if len(password) > PASSWORD_MAX_LENGTH:
            yield PasswordTooLong()
            return
        if not is_acceptable_input(password):
            yield PasswordInvalid()
            return
        # NFD is the longest form that a keyboard may send at the next sign-in.
        if len(unicodedata.normalize("NFD", password)) > PASSWORD_MAX_LENGTH:
            yield PasswordTooLong()
            return
        normal = normalise(password)
        if len(normal) < self.minimum_length:
            yield PasswordTooShort(self.minimum_length)
        folded = _fold(normal)
        if folded in common_passwords():
            yield PasswordTooCommon()
        if any(word in folded for word in _personal_words(username, email)):
            yield PasswordTooPersonal()


@cache
def common_passwords() -> frozenset[str]:
    """Returns the list of common passwords, case-folded."""
    text = files(__package__).joinpath("common_passwords.txt").read_text(encoding="utf-8")
    return frozenset(line for line in text.splitlines() if not line.startswith("#"))


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text.casefold())


def _personal_words(username: str, email: str | None) -> Iterator[str]:
    local_part = (email or "").partition("@")[0]
    for word in (username, email or "", local_part, PRODUCT_NAME):
        if len(word) >= PERSONAL_MIN_LENGTH:
            yield _fold(word)
