"""Verifies Postern's access tokens by its public keys: no database and no call per request.

Needs `pyjwt[crypto]` and `httpx2`. What this cannot see: a token says what was true when it was
signed. A session that has ended, a disabled account or a role that was taken away stays good here
until the token's `exp`, half an hour later at most by default. `introspection.py` asks for those
acts that must not wait for that.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
import jwt

# RFC 8725, 3.1: the algorithms are ours to choose, never the token's. None of them is symmetric,
# so that a public key cannot pass for a secret.
ALGORITHMS = frozenset({"ES256", "RS256", "EdDSA"})
# RFC 9068, 4: no other JWT of the issuer passes for an access token.
TYPES = frozenset({"at+jwt", "application/at+jwt"})
CLAIMS = ["iss", "aud", "exp", "iat", "sub", "sid", "jti"]


class InvalidToken(Exception):
    """The token proves nothing; says why."""


class KeysUnavailable(Exception):
    """Postern cannot be asked for the key: the token is neither good nor bad."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What a verified token says."""

    user_id: str
    session_id: str
    roles: frozenset[str]
    scope: frozenset[str]


class KeySet:
    """The public keys at a JWKS address, fetched when they are needed.

    Keys are fresh for five minutes. While Postern is away those that are known go on for an hour:
    no token of its lives longer. An unknown `kid` makes one request, and then none for the
    cool-down, so that strangers cannot make this service call Postern all the time.
    """

    def __init__(
        self, url: str, *, fresh: float = 300.0, known: float = 3600.0, cool_down: float = 5.0
    ) -> None:
        self._url = url
        self._fresh, self._known, self._cool_down = fresh, known, cool_down
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._one_at_a_time = asyncio.Lock()

    async def find(self, kid: str) -> jwt.PyJWK:
        """The key of this name. Raises InvalidToken, KeysUnavailable."""
        if self._needs_fetching(kid):
            async with self._one_at_a_time:
                # Whoever came first may have fetched it.
                if self._needs_fetching(kid):
                    await self._fetch()
        if _age(self._fetched_at) < self._known and kid in self._keys:
            return self._keys[kid]
        if self._fetched_at < self._tried_at:
            raise KeysUnavailable
        raise InvalidToken("The key is not known.")

    def _needs_fetching(self, kid: str) -> bool:
        is_settled = kid in self._keys and _age(self._fetched_at) < self._fresh
        return not is_settled and _age(self._tried_at) >= self._cool_down

    async def _fetch(self) -> None:
        keys = await _download(self._url)
        # Only now, so that whoever asks meanwhile waits for the outcome.
        self._tried_at = time.monotonic()
        if keys is not None:
            # Keys that are gone were revoked, or have nothing left to verify.
            self._keys, self._fetched_at = keys, self._tried_at


async def _download(url: str) -> dict[str, jwt.PyJWK] | None:
    try:
        async with httpx2.AsyncClient(timeout=2.0) as client:
            reply = await client.get(url)
        return _read_keys(reply.raise_for_status().json())
    except (httpx2.HTTPError, jwt.PyJWTError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _read_keys(jwks: Mapping[str, Any]) -> dict[str, jwt.PyJWK]:
    return {
        key["kid"]: jwt.PyJWK(key)
        for key in jwks["keys"]
        if key.get("alg") in ALGORITHMS and key.get("use") == "sig"
    }


def _age(since: float) -> float:
    return time.monotonic() - since


class Verifier:
    """Verifies tokens of one issuer that are meant for one audience."""

    def __init__(self, keys: KeySet, *, issuer: str, audience: str) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience

    async def verify(self, token: str) -> AccessToken:
        """What the token says, once it is proved. Raises InvalidToken, KeysUnavailable."""
        try:
            kid = _read_kid(jwt.get_unverified_header(token))
            key = await self._keys.find(kid)
            claims = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                issuer=self._issuer,
                audience=self._audience,
                # The clock of this machine may be a moment behind.
                options={"require": CLAIMS, "verify_iat": False},
            )
        except jwt.InvalidTokenError as error:
            raise InvalidToken(str(error)) from None
        return AccessToken(
            user_id=claims["sub"],
            session_id=str(claims["sid"]),
            roles=frozenset(claims.get("roles", [])),
            scope=frozenset(claims.get("scope", "").split()),
        )


def _read_kid(header: Mapping[str, Any]) -> str:
    if str(header.get("typ", "")).lower() not in TYPES:
        raise InvalidToken("The token is no access token.")
    algorithm, kid = header.get("alg"), header.get("kid")
    # A stranger wrote the header: it may hold anything that JSON can.
    if not isinstance(algorithm, str) or not isinstance(kid, str) or algorithm not in ALGORITHMS:
        raise InvalidToken("The token is not signed as it must be.")
    return kid
