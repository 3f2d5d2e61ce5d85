"""Refresh tokens: opaque to clients, nothing but a name and a proof to us.

A token is its session's id, a generation, and an HMAC over both under a key derived from the
server's secret. None is ever stored, so a dump of the database holds nothing to sign in with.
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
_NAME_BYTES = _ID_BYTES + _GENERATION_BYTES


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """The session that a token continues, and the generation that it may advance."""

    session_id: UUID
    generation: int

    def successor(self) -> "RefreshToken":
        """The token that this one is exchanged for: always the same one."""
        return RefreshToken(self.session_id, self.generation + 1)


class RefreshTokenCodec:
    """Writes and reads refresh tokens under the server's secrets."""

    def __init__(self, secret_keys: SecretKeys) -> None:
        self._keys = secret_keys.derive(_PURPOSE)
        self._idempotency_keys = secret_keys.derive(_IDEMPOTENCY_PURPOSE)

    def encode(self, token: RefreshToken) -> str:
        """The token in the form that travels, under the newest secret."""
        name = _name(token)
        body = name + _mac(self._keys[0], name)
        return PREFIX + urlsafe_b64encode(body).rstrip(b"=").decode()

    def parse(self, text: str) -> RefreshToken:
        """Reads a token that we made, under any of the secrets. Raises InvalidRefreshToken.

        No row is looked at: a guess costs the database nothing and ends nobody's session.
        """
        body = _decode(text)
        name, given = body[:_NAME_BYTES], body[_NAME_BYTES:]
        if not any(hmac.compare_digest(_mac(key, name), given) for key in self._keys):
            raise InvalidRefreshToken
        return RefreshToken(UUID(bytes=name[:_ID_BYTES]), int.from_bytes(name[_ID_BYTES:]))

    def hash_idempotency_key(self, token: RefreshToken, idempotency_key: str) -> bytes:
        """Returns the HMAC to store for the key with which this token was exchanged.

        It covers the session and the generation: the same key proves nothing for another refresh.
        """
        return _mac(self._idempotency_keys[0], _name(token) + idempotency_key.encode())

    def was_exchanged_with(
        self, token: RefreshToken, idempotency_key: str, stored: bytes | None
    ) -> bool:
        """Whether `stored` is the HMAC of this key for this token, under any of the secrets."""
        if stored is None:
            return False
        text = _name(token) + idempotency_key.encode()
        return any(hmac.compare_digest(_mac(key, text), stored) for key in self._idempotency_keys)


def looks_like_refresh_token(text: str) -> bool:
    """Whether the text is of this kind, genuine or not: the prefix says so."""
    return text.startswith(PREFIX)


def _name(token: RefreshToken) -> bytes:
    return token.session_id.bytes + token.generation.to_bytes(_GENERATION_BYTES)


def _mac(key: bytes, name: bytes) -> bytes:
    return hmac.digest(key, name, sha256)


def _decode(text: str) -> bytes:
    encoded = text.removeprefix(PREFIX)
    try:
        body = urlsafe_b64decode(encoded + "==")
    except ValueError:
        raise InvalidRefreshToken from None
    canonical = PREFIX + urlsafe_b64encode(body).rstrip(b"=").decode()
    if canonical != text or len(body) != _NAME_BYTES + _MAC_BYTES:
        raise InvalidRefreshToken
    return body
