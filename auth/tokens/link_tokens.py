"""Tokens in the links of mails: signed, expiring, and good for one thing only.

A token names a row and an end of its life; its signature covers besides what the row's account was
like when the mail was sent. So it dies when that changes, when the row goes because it was used,
and when a newer request takes the row's place. The signature is stored nowhere: nobody who reads
the database can make one (OWASP Forgot Password; ASVS 5.0, 6.5.5 and 6.6.2).
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from uuid import UUID

from auth.errors import (
    LinkInvalid,
)
from auth.tokens.secret_keys import SecretKeys

PREFIX = "plt_"
_ID_BYTES = 16
_EXPIRY_BYTES = 6
_MAC_BYTES = 32
_BYTES = _ID_BYTES + _EXPIRY_BYTES + _MAC_BYTES
_TEXT_LENGTH = len(PREFIX) + _BYTES * 4 // 3

State = tuple[str | None, ...]


class Purpose(StrEnum):
    """What a link does."""

    PASSWORD_RESET = "password_reset"  # noqa: S105 - a purpose, not a secret
    EMAIL_VERIFICATION = "email_verification"
    EMAIL_CHANGE = "email_change"
    REGISTRATION = "registration"
    INVITATION = "invitation"


# Counted from the moment when the mail is sent.
LIFETIMES = {
    Purpose.PASSWORD_RESET: timedelta(hours=1),
    Purpose.EMAIL_VERIFICATION: timedelta(days=1),
    Purpose.EMAIL_CHANGE: timedelta(hours=1),
    Purpose.REGISTRATION: timedelta(days=1),
    Purpose.INVITATION: timedelta(days=7),
}


@dataclass(frozen=True, slots=True)
class LinkToken:
    """A token as it came: which row it speaks of. Good for nothing until it is checked."""

    about: UUID
    expires_at: datetime
    mac: bytes


class LinkTokens:
    """Makes tokens and checks them."""

    def __init__(self, secret_keys: SecretKeys) -> None:
        self._keys = {purpose: secret_keys.derive(f"postern link {purpose}") for purpose in Purpose}

    def make(self, purpose: Purpose, about: UUID, expires_at: datetime, *state: str | None) -> str:
        """The text for a link. The state is what the link dies with when it changes."""
        head = about.bytes + int(expires_at.timestamp()).to_bytes(_EXPIRY_BYTES)
        mac = _mac(self._keys[purpose][0], head, state)
        return PREFIX + urlsafe_b64encode(head + mac).decode()

    def check(self, purpose: Purpose, token: LinkToken, now: datetime, *state: str | None) -> None:
        """Raises LinkInvalid unless the token was made for exactly this, and has not expired."""
        self.check_any(purpose, token, now, [state])

    def check_any(
        self, purpose: Purpose, token: LinkToken, now: datetime, states: Sequence[State]
    ) -> None:
        """Raises LinkInvalid unless the token was made for any of the states, and is in time."""
        head = token.about.bytes + int(token.expires_at.timestamp()).to_bytes(_EXPIRY_BYTES)
        genuine = [
            hmac.compare_digest(_mac(key, head, state), token.mac)
            for key in self._keys[purpose]
            for state in states
        ]
        if not any(genuine) or now >= token.expires_at:
            raise LinkInvalid


def read_token(text: str) -> LinkToken:
    """Takes a token apart. Raises LinkInvalid for what cannot be one."""
    if len(text) != _TEXT_LENGTH or not text.startswith(PREFIX):
        raise LinkInvalid
    try:
        raw = urlsafe_b64decode(text.removeprefix(PREFIX))
        about, rest = raw[:_ID_BYTES], raw[_ID_BYTES:]
        seconds = int.from_bytes(rest[:_EXPIRY_BYTES])
        expires_at = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise LinkInvalid from None
    if PREFIX + urlsafe_b64encode(raw).decode() != text:
        raise LinkInvalid
    return LinkToken(UUID(bytes=about), expires_at, rest[_EXPIRY_BYTES:])


def _mac(key: bytes, head: bytes, state: State) -> bytes:
    digest = hmac.new(key, head, sha256)
    for part in state:
        # With its length, or two states could read the same.
        encoded = b"-" if part is None else b"%d:" % len(part.encode()) + part.encode()
        digest.update(encoded)
    return digest.digest()
