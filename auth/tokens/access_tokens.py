"""Access tokens: JWTs after RFC 9068, issued and verified."""

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
# Many proxies accept header lines of 8 KiB, and `jws` reads tokens of 8192 characters. A token that
# would be longer leaves `roles` and `scope` out, so what is issued is accepted.
ISSUED_MAX_LENGTH = 7168
# The year 3000: later instants are no use, and far later ones break arithmetic.
_LATEST = 32_503_680_000


@dataclass(frozen=True, slots=True)
class TokenPolicy:
    """Who issues the tokens, whom they are for, and how long they live."""

    issuer: str
    audience: str
    lifetime: timedelta = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token is to say: whose, of which session, and until when at the latest."""

    user_id: UUID
    session_id: UUID
    roles: Sequence[str]
    permissions: Sequence[str]
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token in the form that travels."""

    text: str
    expires_in: timedelta


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What a verified token says. It names a session; what that may do is for the rows to say."""

    user_id: UUID
    session_id: UUID
    token_id: str
    kid: str
    # The machines that issue and verify may differ by the leeway; the end is exact.
    valid_from: datetime
    expires_at: datetime


async def issue(keys: KeyRing, policy: TokenPolicy, grant: Grant, now: datetime) -> IssuedToken:
    """Signs a new token; it never outlives its session."""
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
    # A hint for services that trust it for the token's short life; Postern asks the rows.
    hints = {"roles": list(grant.roles), "scope": " ".join(grant.permissions)}
    text = _sign(key, claims | hints)
    if len(text) > ISSUED_MAX_LENGTH:
        log.warning("token.hints_omitted", user_id=str(grant.user_id), length=len(text))
        text = _sign(key, claims)
    # Claims are whole seconds: what is left is never told longer than it is (RFC 6749, 5.1).
    left = expires_at - math.ceil(now.timestamp())
    return IssuedToken(text, timedelta(seconds=max(left, 0)))


def _sign(key: Key, claims: dict[str, Any]) -> str:
    return jws.sign(claims, key.signer, algorithm=key.algorithm, kid=key.kid, typ=TYPE)


async def verify(keys: KeyRing, policy: TokenPolicy, text: str, now: datetime) -> AccessToken:
    """Proves that a token is ours and in its time. Raises TokenInvalid, TokenExpired."""
    try:
        header = jws.read_header(text)
        # RFC 8725, 3.11: another JWT of this issuer must not pass for an access token.
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
        user_id=_uuid(claims.get("sub")),
        session_id=_uuid(claims.get("sid")),
        token_id=_text(claims.get("jti")),
        kid=kid,
        valid_from=_start(claims) - LEEWAY,
        expires_at=_instant(claims.get("exp")),
    )
    # RFC 9068, section 4: the leeway is for machines whose clocks differ, and bounds the future.
    # The end of a token gets none: we set it ourselves.
    if now < token.valid_from:
        # The token is ours, so one of two clocks is wrong. The client must refresh, not forget it.
        log.warning("token.not_yet_valid", seconds=(token.valid_from - now).total_seconds())
        raise TokenExpired
    if now >= token.expires_at:
        raise TokenExpired
    return token


def _start(claims: dict[str, Any]) -> datetime:
    issued_at = _instant(claims.get("iat"))
    return max(issued_at, _instant(claims["nbf"])) if "nbf" in claims else issued_at


def _parse_claims(payload: bytes) -> dict[str, Any]:
    try:
        claims = orjson.loads(payload)
    except orjson.JSONDecodeError:
        raise TokenInvalid from None
    if not isinstance(claims, dict):
        raise TokenInvalid
    return claims


def _is_for(audience: str, claim: object) -> bool:
    # RFC 7519, 4.1.3: one audience as text, or several as a list.
    return claim == audience or (isinstance(claim, list) and audience in claim)


def _text(claim: object) -> str:
    if not isinstance(claim, str) or not claim:
        raise TokenInvalid
    return claim


def _uuid(claim: object) -> UUID:
    try:
        identifier = UUID(_text(claim))
    except ValueError:
        raise TokenInvalid from None
    if str(identifier) != claim:
        raise TokenInvalid
    return identifier


def _instant(claim: object) -> datetime:
    # `True` is an int to Python, and NaN a number to JSON's parsers: neither is a NumericDate.
    if type(claim) is not int or not 0 <= claim <= _LATEST:
        raise TokenInvalid
    return datetime.fromtimestamp(claim, UTC)
