"""Device proofs: signed values that identify a device with an earlier sign-in.

After OWASP, "Slow Down Online Guessing Attacks with Device Cookies".

A proof contains the ID of a user and of a device, and an HMAC. Nothing is stored. A proof grants no
access. It only selects the rate limit of a sign-in, so that password guessing by others does not
delay the user. A refresh token of an earlier session works as a proof too.
"""

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, select
from sqlalchemy.orm import InstrumentedAttribute

from auth.clock import Clock
from auth.errors import InvalidRefreshToken
from auth.sessions import is_active
from auth.tokens.refresh_tokens import RefreshTokenCodec, looks_like_refresh_token
from auth.tokens.secret_keys import SecretKeys
from models.database import Database
from models.session import RevocationReason, Session

PREFIX = "pdp_"
# The longest lifetime of a cookie in browsers (RFC 6265bis, 5.5).
LIFETIME = timedelta(days=400)

_PURPOSE = "postern devices"
_ID_BYTES, _TIME_BYTES, _MARK_BYTES, _MAC_BYTES = 16, 5, 8, 32
_BYTES = 2 * _ID_BYTES + _TIME_BYTES + _MARK_BYTES + _MAC_BYTES
_TEXT_LENGTH = len(PREFIX) + -(-_BYTES * 4 // 3)

# Devices whose proof is older than the password, or whose session has ended, share one budget.
# Otherwise an attacker who once knew the password could collect proofs, each with its own budget.
_EARLIER = "earlier"
# With these reasons, the refresh token of the session may be stolen.
_UNTRUSTED = frozenset(
    {
        RevocationReason.REFRESH_TOKEN_REPLAYED,
        RevocationReason.REVOKED_BY_OWNER,
        RevocationReason.REVOKED_BY_OPERATOR,
    }
)


@dataclass(frozen=True, slots=True)
class DeviceProof:
    """A valid proof. `mark` is derived from the password at the time of the sign-in."""

    user_id: UUID
    device_id: UUID
    issued_at: datetime
    mark: bytes


class DeviceProofs:
    """Issues and verifies device proofs, with keys derived from the server's secrets."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        refresh_tokens: RefreshTokenCodec,
        secret_keys: SecretKeys,
    ) -> None:
        self._db = db
        self._clock = clock
        self._refresh_tokens = refresh_tokens
        self._keys = secret_keys.derive(_PURPOSE)

    def issue(self, user_id: UUID, password_identifier: str, now: datetime) -> str:
        """Returns a new proof. See `list_password_identifiers` for the identifier."""
        key, device_id = self._keys[0], secrets.token_bytes(_ID_BYTES)
        issued_at = int(now.timestamp()).to_bytes(_TIME_BYTES)
        head = user_id.bytes + device_id + issued_at + _mark(key, user_id, password_identifier)
        return PREFIX + urlsafe_b64encode(head + _mac(key, head)).rstrip(b"=").decode()

    def verify(self, text: str) -> DeviceProof | None:
        """Returns the proof, or None if its HMAC is wrong or it has expired."""
        body = _decode(text)
        head, given = body[:-_MAC_BYTES], body[-_MAC_BYTES:]
        if not any(hmac.compare_digest(_mac(key, head), given) for key in self._keys):
            return None
        user_id, device_id, rest = head[:_ID_BYTES], head[_ID_BYTES : 2 * _ID_BYTES], head[32:]
        issued_at = datetime.fromtimestamp(int.from_bytes(rest[:_TIME_BYTES]), UTC)
        if self._clock.now() - issued_at > LIFETIME:
            return None
        return DeviceProof(
            UUID(bytes=user_id), UUID(bytes=device_id), issued_at, rest[_TIME_BYTES:]
        )

    def any_valid(self, texts: Sequence[str]) -> bool:
        """Returns whether any of the proofs is valid, for any user."""
        return any(self._is_valid(text) for text in texts)

    def list_of_other_users(self, user_id: UUID, texts: Sequence[str]) -> list[str]:
        """Returns the valid proofs of other users."""
        proofs = [(text, self.verify(text)) for text in texts]
        return [text for text, proof in proofs if proof and proof.user_id != user_id]

    async def find(
        self, texts: Sequence[str], user_id: UUID, identifiers: Collection[str]
    ) -> str | None:
        """Returns the budget key of the user's device, or None if the device is unknown.

        `identifiers` are those of the current password, see `list_password_identifiers`.
        """
        found: str | None = None
        for text in texts:
            if looks_like_refresh_token(text):
                device = await self._find_by_session(text, user_id)
            else:
                device = self._find_by_proof(text, user_id, identifiers)
            if device and device != _EARLIER:
                return device
            found = found or device
        return found

    def _is_valid(self, text: str) -> bool:
        if not looks_like_refresh_token(text):
            return self.verify(text) is not None
        try:
            self._refresh_tokens.parse(text)
        except InvalidRefreshToken:
            return False
        return True

    def _find_by_proof(self, text: str, user_id: UUID, identifiers: Collection[str]) -> str | None:
        proof = self.verify(text)
        if proof is None or proof.user_id != user_id:
            return None
        marks = [_mark(key, user_id, each) for key in self._keys for each in identifiers]
        return str(proof.device_id) if proof.mark in marks else _EARLIER

    async def _find_by_session(self, text: str, user_id: UUID) -> str | None:
        try:
            token = self._refresh_tokens.parse(text)
        except InvalidRefreshToken:
            return None
        rows = await self._db.look_up(_SESSION_QUERY, {"session_id": token.session_id})
        for row in rows:
            if row.user_id != user_id or row.revocation_reason in _UNTRUSTED:
                return None
            return str(token.session_id) if is_active(row, self._clock.now()) else _EARLIER
        return None


def _mark(key: bytes, user_id: UUID, password_identifier: str) -> bytes:
    text = b"password\0" + user_id.bytes + password_identifier.encode()
    return hmac.digest(key, text, sha256)[:_MARK_BYTES]


def _mac(key: bytes, head: bytes) -> bytes:
    return hmac.digest(key, b"proof\0" + head, sha256)


def _decode(text: str) -> bytes:
    """Returns the bytes of a proof. Refuses any other encoding of the same bytes."""
    if len(text) != _TEXT_LENGTH or not text.startswith(PREFIX):
        return b""
    try:
        body = urlsafe_b64decode(text.removeprefix(PREFIX) + "==")
    except ValueError:
        return b""
    canonical = PREFIX + urlsafe_b64encode(body).rstrip(b"=").decode()
    return body if canonical == text else b""


_COLUMNS: tuple[InstrumentedAttribute[Any], ...] = (
    *(Session.user_id, Session.revoked_at, Session.revocation_reason),
    *(Session.idle_expires_at, Session.expires_at),
)
_SESSION_QUERY = select(*_COLUMNS).where(Session.id == bindparam("session_id"))
