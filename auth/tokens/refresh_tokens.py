"""Refresh tokens, which are opaque to clients.

A token is a session ID, a generation, and an HMAC over both under a key derived from the secret of
the server. Tokens are not stored, so a dump of the database is not enough to sign in.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from auth.errors import InvalidRefreshToken
from auth.tokens.secret_keys import SecretKeys

PREFIX = "prt_"

_PURPOSE = "postern refresh tokens"
_IDEMPOTENCY_PURPOSE = "postern idempotency keys of refreshes"
_ID_BYTES, _GENERATION_BYTES, _MAC_BYTES = 16, 4, 32
_PAYLOAD_BYTES = _ID_BYTES + _GENERATION_BYTES


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """The session of a token, and its generation."""

    session_id: UUID
    generation: int

    def successor(self) -> "RefreshToken":
        """Returns the token of the next generation, for which this one is exchanged."""
        return RefreshToken(self.session_id, self.generation + 1)


class RefreshTokenCodec:
    """Encodes and parses refresh tokens with the secrets of the server."""

    def __init__(self, secret_keys: SecretKeys) -> None:
        self._keys = secret_keys.derive(_PURPOSE)
        self._idempotency_keys = secret_keys.derive(_IDEMPOTENCY_PURPOSE)

    def encode(self, token: RefreshToken) -> str:
        """Encodes a token under the newest secret."""
        payload = _payload(token)
        body = payload + _mac(self._keys[0], payload)
        return PREFIX + urlsafe_b64encode(body).rstrip(b"=").decode()

    def parse(self, text: str) -> RefreshToken:
        """Parses a token and verifies its HMAC under any secret. Raises InvalidRefreshToken.

        Reads no row, so a forged token causes no query and does not end a session.
        """
        body = _decode(text)
        payload, mac = body[:_PAYLOAD_BYTES], body[_PAYLOAD_BYTES:]
        if not any(hmac.compare_digest(_mac(key, payload), mac) for key in self._keys):
            raise InvalidRefreshToken
        return RefreshToken(UUID(bytes=payload[:_ID_BYTES]), int.from_bytes(payload[_ID_BYTES:]))

    def hash_idempotency_key(self, token: RefreshToken, idempotency_key: str) -> bytes:
        """Returns the HMAC of an idempotency key, to store with the session.

        It covers the session and the generation, so the key is valid for this refresh only.
        """
        return _mac(self._idempotency_keys[0], _payload(token) + idempotency_key.encode())

    def matches_idempotency_key(
        self, token: RefreshToken, idempotency_key: str, stored: bytes | None
    ) -> bool:
        """Returns whether `stored` is the HMAC of the key for this token, under any secret."""
        if stored is None:
            return False
        text = _payload(token) + idempotency_key.encode()
        return any(hmac.compare_digest(_mac(key, text), stored) for key in self._idempotency_keys)


def looks_like_refresh_token(text: str) -> bool:
    """Returns whether the text has the prefix of refresh tokens. It may be forged."""
    return text.startswith(PREFIX)


def _payload(token: RefreshToken) -> bytes:
    return token.session_id.bytes + token.generation.to_bytes(_GENERATION_BYTES)


def _mac(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, sha256)


def _decode(text: str) -> bytes:
    encoded = text.removeprefix(PREFIX)
    try:
        body = urlsafe_b64decode(encoded + "==")
    except ValueError:
        raise InvalidRefreshToken from None
    canonical = PREFIX + urlsafe_b64encode(body).rstrip(b"=").decode()
    if canonical != text or len(body) != _PAYLOAD_BYTES + _MAC_BYTES:
        raise InvalidRefreshToken
    return body
