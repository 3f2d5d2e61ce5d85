"""Issues and verifies access tokens: JWTs after RFC 9068."""

import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import structlog

from auth.errors import TokenExpired, TokenInvalid
from auth.tokens import jws
from auth.tokens.key_material import Key
from auth.tokens.key_set import LEEWAY
from auth.tokens.keys import KeyRing

log = structlog.get_logger("postern.auth")

TYPE = "at+jwt"
# RFC 9068, section 4 admits the long form of the media type too.
_TYPES = frozenset({TYPE, f"application/{TYPE}"})
# Many proxies accept header lines of 8 KiB, and `jws` accepts tokens of 8192 characters. A token
# that would be longer is issued without `roles` and `scope`.
ISSUED_MAX_LENGTH = 7168
# The year 3000. Much later times overflow.
_LATEST = 32_503_680_000


@dataclass(frozen=True, slots=True)
class TokenPolicy:
    """The issuer, audience and lifetime of access tokens."""

    issuer: str
    audience: str
    lifetime: timedelta = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Grant:
    """The contents of a token to issue. It expires at `ends_at` at the latest."""

    user_id: UUID
    session_id: UUID
    roles: Sequence[str]
    permissions: Sequence[str]
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A signed token, encoded as text."""

    text: str
    expires_in: timedelta


@dataclass(frozen=True, slots=True)
class AccessToken:
    """The claims of a verified token. Permissions are read from the database, not from claims."""

    user_id: UUID
    session_id: UUID
    token_id: str
    kid: str
    # Earlier than `iat` by the leeway, since the clocks of machines differ.
    valid_from: datetime
    expires_at: datetime


async def issue(keys: KeyRing, policy: TokenPolicy, grant: Grant, now: datetime) -> IssuedToken:
    """Issues a token that expires no later than its session."""
    key = await keys.signing_key()
    issued_at = int(now.timestamp())
    expires_at = min(
        issued_at + int(policy.lifetime.total_seconds()), int(grant.ends_at.timestamp())
    )
    claims: dict[str, Any] = {
        "iss": policy.issuer,
        "aud": policy.audience,
        "sub": str(grant.user_id),
        "sid": str(grant.session_id),
        "jti": secrets.token_urlsafe(16),
        "iat": issued_at,
        "exp": expires_at,
    }
    # For other services. Postern reads roles and permissions from the database.
    hints = {"roles": list(grant.roles), "scope": " ".join(grant.permissions)}
    text = _sign(key, claims | hints)
    if len(text) > ISSUED_MAX_LENGTH:
        log.warning("token.hints_omitted", user_id=str(grant.user_id), length=len(text))
        text = _sign(key, claims)
    # Claims are whole seconds. `expires_in` is rounded down (RFC 6749, section 5.1).
    left = expires_at - math.ceil(now.timestamp())
    return IssuedToken(text, timedelta(seconds=max(left, 0)))


def _sign(key: Key, claims: dict[str, Any]) -> str:
    return jws.sign(claims, key.signer, algorithm=key.algorithm, kid=key.kid, typ=TYPE)


async def verify(keys: KeyRing, policy: TokenPolicy, text: str, now: datetime) -> AccessToken:
    """Verifies the signature, claims and expiry of a token. Raises TokenInvalid, TokenExpired."""
    try:
        header = jws.read_header(text)
        # RFC 8725, section 3.11: other JWTs of this issuer must not be accepted as access tokens.
        if header.get("typ", "").lower() not in _TYPES:
            raise TokenInvalid
        key = await keys.find(header.get("kid"))
        if key is None:
            raise TokenInvalid
        payload = jws.verify(text, key)
    except jws.InvalidSignedToken:
        raise TokenInvalid from None
    return _check_claims(payload, key.kid, policy, now)


def _check_claims(payload: bytes, kid: str, policy: TokenPolicy, now: datetime) -> AccessToken:
    claims = _parse_claims(payload)
    if claims.get("iss") != policy.issuer or not _is_for(policy.audience, claims.get("aud")):
        raise TokenInvalid
    token = AccessToken(
        user_id=_parse_uuid(claims.get("sub")),
        session_id=_parse_uuid(claims.get("sid")),
        token_id=_parse_text(claims.get("jti")),
        kid=kid,
        valid_from=_valid_from(claims) - LEEWAY,
        expires_at=_parse_time(claims.get("exp")),
    )
    # RFC 9068, section 4: the leeway allows for clocks that differ. The expiry gets no leeway.
    if now < token.valid_from:
        # The signature is valid, so the clock of one machine is wrong. The client should refresh.
        log.warning("token.not_yet_valid", seconds=(token.valid_from - now).total_seconds())
        raise TokenExpired
    if now >= token.expires_at:
        raise TokenExpired
    return token


def _valid_from(claims: dict[str, Any]) -> datetime:
    issued_at = _parse_time(claims.get("iat"))
    return max(issued_at, _parse_time(claims["nbf"])) if "nbf" in claims else issued_at


def _parse_claims(payload: bytes) -> dict[str, Any]:
    try:
        claims = orjson.loads(payload)
    except orjson.JSONDecodeError:
        raise TokenInvalid from None
    if not isinstance(claims, dict):
        raise TokenInvalid
    return claims


def _is_for(audience: str, claim: object) -> bool:
    # RFC 7519, section 4.1.3: one audience as text, or several as a list.
    return claim == audience or (isinstance(claim, list) and audience in claim)


def _parse_text(claim: object) -> str:
    if not isinstance(claim, str) or not claim:
        raise TokenInvalid
    return claim


def _parse_uuid(claim: object) -> UUID:
    try:
        identifier = UUID(_parse_text(claim))
    except ValueError:
        raise TokenInvalid from None
    if str(identifier) != claim:
        raise TokenInvalid
    return identifier


def _parse_time(claim: object) -> datetime:
    # A NumericDate. `isinstance` would also accept `True`.
    if type(claim) is not int or not 0 <= claim <= _LATEST:
        raise TokenInvalid
    return datetime.fromtimestamp(claim, UTC)
