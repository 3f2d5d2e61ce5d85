"""Signed tokens in their compact form (RFC 7515): read strictly, verified with PyJWT.

PyJWT verifies the signature. Before that, this module accepts only strict base64url, a small flat
header, and the algorithm of the key, never that of the token. An ES256 token still has two valid
signatures (`s` and `n - s`), so identify a token by its `jti`, never by its text.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any, Protocol

import jwt
import orjson

MAX_TOKEN_LENGTH = 8192

# RFC 7515, section 2: base64url without padding. `[A-Za-z0-9_-]`, since `\w` would admit letters
# outside ASCII.
_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")

_jws = jwt.PyJWS(options={"verify_signature": True, "enforce_minimum_key_length": True})


class InvalidSignedToken(Exception):
    """The text is not a token that one of the given keys has signed."""


class VerificationKey(Protocol):
    """What it takes to verify: a key object of PyJWT's, and the one algorithm it is for."""

    @property
    def algorithm(self) -> str:
        """The JWA name, for example `ES256`."""

    @property
    def verifier(self) -> Any:
        """The key as PyJWT takes it."""


def read_header(token: str) -> Mapping[str, str]:
    """The header, unverified: for finding the key and nothing else. Raises InvalidSignedToken."""
    if len(token) > MAX_TOKEN_LENGTH:
        raise InvalidSignedToken("too long")
    match = _COMPACT.fullmatch(token)
    if match is None:
        raise InvalidSignedToken("not three base64url parts")
    raw_header, _, _ = map(_decode_strictly, match.groups())
    return _parse_header(raw_header)


def verify(token: str, key: VerificationKey) -> bytes:
    """The payload of a token that this key has signed. Raises InvalidSignedToken."""
    header = read_header(token)
    # RFC 8725, sections 3.1 and 3.2: the key decides; a token that names another algorithm is not
    # for this key.
    if header.get("alg") != key.algorithm:
        raise InvalidSignedToken("the algorithm is not the one of the key")
    try:
        payload = _jws.decode(token, key.verifier, algorithms=[key.algorithm])
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise InvalidSignedToken("the signature is not valid") from error
    return bytes(payload)


def sign(claims: Mapping[str, Any], signer: Any, *, algorithm: str, kid: str, typ: str) -> str:
    """A token over the claims."""
    return _jws.encode(
        orjson.dumps(claims), signer, algorithm=algorithm, headers={"typ": typ, "kid": kid}
    )


def encode_part(part: bytes) -> str:
    """Base64url without padding (RFC 7515, 2)."""
    return urlsafe_b64encode(part).rstrip(b"=").decode()


def _decode_strictly(part: str) -> bytes:
    try:
        decoded = urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        raise InvalidSignedToken("not base64url") from None
    # Loose bits at the end would give one token several spellings.
    if encode_part(decoded) != part:
        raise InvalidSignedToken("not canonical base64url")
    return decoded


def _parse_header(raw: bytes) -> dict[str, str]:
    try:
        header = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise InvalidSignedToken("the header is not JSON") from None
    # Only text, and so no `crit` (RFC 7515, 4.1.11), no `jwk`, no `x5c`, no nesting. `jku` and
    # `x5u` are text and are never looked at.
    if not isinstance(header, dict) or not all(isinstance(v, str) for v in header.values()):
        raise InvalidSignedToken("the header has a member that is not text")
    if "crit" in header:
        raise InvalidSignedToken("the header has critical extensions")
    return header
