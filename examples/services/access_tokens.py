"""Verifies Postern's access tokens with its public keys, without a call per request.

Needs `pyjwt[crypto]` and `httpx2`. A token contains the state at the time of issue. An ended
session, a disabled user or a removed role is accepted here until the token expires, after half an
hour by default. Use `introspection.py` for operations that must not accept them.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
import jwt

# RFC 8725, 3.1: the token must not choose the algorithm. None of these is symmetric, so a public
# key cannot be used as a secret.
ALGORITHMS = frozenset({"ES256", "RS256", "EdDSA"})
# RFC 9068, 4: other JWTs of the issuer are not access tokens.
TYPES = frozenset({"at+jwt", "application/at+jwt"})
CLAIMS = ["iss", "aud", "exp", "iat", "sub", "sid", "jti"]


class InvalidToken(Exception):
    """The token is not valid. The message says why."""


class KeysUnavailable(Exception):
    """The keys cannot be loaded, so the token can be neither accepted nor refused."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """The claims of a verified token."""

    user_id: str
    session_id: str
    roles: frozenset[str]
    scope: frozenset[str]


class KeySet:
    """The public keys at a JWKS address, loaded when they are needed.

    Keys are used for five minutes. While Postern is unavailable, known keys are used for up to an
    hour: no access token lives longer. An unknown `kid` causes one request, and then none during
    the cool-down, so that strangers cannot make this service call Postern all the time.
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
        """Returns the key with this ID. Raises InvalidToken, KeysUnavailable."""
        if self._needs_fetching(kid):
            async with self._one_at_a_time:
                # Another request may have loaded it.
                if self._needs_fetching(kid):
                    await self._fetch()
        if _age(self._fetched_at) < self._known and kid in self._keys:
            return self._keys[kid]
        if self._fetched_at < self._tried_at:
            raise KeysUnavailable
        raise InvalidToken("The key is unknown.")

    def _needs_fetching(self, kid: str) -> bool:
        is_settled = kid in self._keys and _age(self._fetched_at) < self._fresh
        return not is_settled and _age(self._tried_at) >= self._cool_down

    async def _fetch(self) -> None:
        keys = await _download(self._url)
        # Set after the download, so that parallel requests wait for it.
        self._tried_at = time.monotonic()
        if keys is not None:
            # Missing keys were revoked, or all their tokens have expired.
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
    """Verifies tokens of one issuer for one audience."""

    def __init__(self, keys: KeySet, *, issuer: str, audience: str) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience

    async def verify(self, token: str) -> AccessToken:
        """Returns the claims of a valid token. Raises InvalidToken, KeysUnavailable."""
        try:
            kid = _read_kid(jwt.get_unverified_header(token))
            key = await self._keys.find(kid)
            claims = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                issuer=self._issuer,
                audience=self._audience,
                # The clock of this machine may be slightly behind.
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
        raise InvalidToken("This is not an access token.")
    algorithm, kid = header.get("alg"), header.get("kid")
    # The header is not verified yet: it can contain any JSON.
    if not isinstance(algorithm, str) or not isinstance(kid, str) or algorithm not in ALGORITHMS:
        raise InvalidToken("The algorithm or the key ID is missing or not allowed.")
    return kid
