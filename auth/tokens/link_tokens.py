"""Tokens in the links of emails: signed, with an expiry and one purpose.

A token names a row and its expiry. The signature also covers the state of the account when the
email was sent. So a token becomes invalid when that state changes, and when its row is deleted
because the link was used or replaced. The signature is not stored, so read access to the database
is not enough to forge a token (OWASP Forgot Password; ASVS 5.0, 6.5.5 and 6.6.2).
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from uuid import UUID

from auth.errors import LinkInvalid
from auth.tokens.secret_keys import SecretKeys

PREFIX = "plt_"
_ID_BYTES = 16
_EXPIRY_BYTES = 6
_MAC_BYTES = 32
_BYTES = _ID_BYTES + _EXPIRY_BYTES + _MAC_BYTES
_TEXT_LENGTH = len(PREFIX) + _BYTES * 4 // 3

State = tuple[str | None, ...]


class Purpose(StrEnum):
    """The purpose of a link."""

    PASSWORD_RESET = "password_reset"  # noqa: S105 - a purpose, not a secret
    EMAIL_VERIFICATION = "email_verification"
    EMAIL_CHANGE = "email_change"
    REGISTRATION = "registration"
    INVITATION = "invitation"


# From the time at which the email is sent.
LIFETIMES = {
    Purpose.PASSWORD_RESET: timedelta(hours=1),
    Purpose.EMAIL_VERIFICATION: timedelta(days=1),
    Purpose.EMAIL_CHANGE: timedelta(hours=1),
    Purpose.REGISTRATION: timedelta(days=1),
    Purpose.INVITATION: timedelta(days=7),
}


@dataclass(frozen=True, slots=True)
class LinkToken:
    """A parsed token whose signature has not been checked."""

    row_id: UUID
    expires_at: datetime
    mac: bytes


class LinkTokens:
    """Issues and checks link tokens."""

    def __init__(self, secret_keys: SecretKeys) -> None:
        self._keys = {purpose: secret_keys.derive(f"postern link {purpose}") for purpose in Purpose}

    def issue(
        self, purpose: Purpose, row_id: UUID, expires_at: datetime, *state: str | None
    ) -> str:
        """Returns a token. It becomes invalid if the state changes."""
        head = row_id.bytes + int(expires_at.timestamp()).to_bytes(_EXPIRY_BYTES)
        mac = _mac(self._keys[purpose][0], head, state)
        return PREFIX + urlsafe_b64encode(head + mac).decode()

    def check(self, purpose: Purpose, token: LinkToken, now: datetime, *state: str | None) -> None:
        """Raises LinkInvalid unless the token was issued for this state and has not expired."""
        self.check_any(purpose, token, now, [state])

    def check_any(
        self, purpose: Purpose, token: LinkToken, now: datetime, states: Sequence[State]
    ) -> None:
        """Raises LinkInvalid unless the token was issued for one of the states and is valid now."""
        head = token.row_id.bytes + int(token.expires_at.timestamp()).to_bytes(_EXPIRY_BYTES)
        genuine = [
            hmac.compare_digest(_mac(key, head, state), token.mac)
            for key in self._keys[purpose]
            for state in states
        ]
        if not any(genuine) or now >= token.expires_at:
            raise LinkInvalid


def parse_link_token(text: str) -> LinkToken:
    """Parses a token without checking its signature. Raises LinkInvalid."""
    if len(text) != _TEXT_LENGTH or not text.startswith(PREFIX):
        raise LinkInvalid
    try:
        raw = urlsafe_b64decode(text.removeprefix(PREFIX))
        row_id, rest = raw[:_ID_BYTES], raw[_ID_BYTES:]
        seconds = int.from_bytes(rest[:_EXPIRY_BYTES])
        expires_at = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise LinkInvalid from None
    if PREFIX + urlsafe_b64encode(raw).decode() != text:
        raise LinkInvalid
    return LinkToken(UUID(bytes=row_id), expires_at, rest[_EXPIRY_BYTES:])


def _mac(key: bytes, head: bytes, state: State) -> bytes:
    digest = hmac.new(key, head, sha256)
    for part in state:
        # With its length, so that different states have different encodings.
        encoded = b"-" if part is None else b"%d:" % len(part.encode()) + part.encode()
        digest.update(encoded)
    return digest.digest()
