"""JWS in compact form (RFC 7515): strict parsing, verification with PyJWT.

PyJWT verifies the signature. Before that, this module checks the base64url encoding, the header,
and that the algorithm of the token is the algorithm of the key. An ES256 token has two valid
signatures (`s` and `n - s`), so identify a token by its `jti`, not by its text.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any, Protocol

import jwt
import orjson

MAX_TOKEN_LENGTH = 8192

# RFC 7515, section 2: base64url without padding. Not `\w`, which matches letters outside ASCII.
_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")

_jws = jwt.PyJWS(options={"verify_signature": True, "enforce_minimum_key_length": True})


class InvalidSignedToken(Exception):
    """The text is not a token that the key has signed."""


class VerificationKey(Protocol):
    """A key of PyJWT and the only algorithm that it is used with."""

    @property
    def algorithm(self) -> str:
        """The JWA name, for example `ES256`."""

    @property
    def verifier(self) -> Any:
        """The key object of PyJWT."""


def read_header(token: str) -> Mapping[str, str]:
    """Returns the unverified header, to find the key. Raises InvalidSignedToken."""
    if len(token) > MAX_TOKEN_LENGTH:
        raise InvalidSignedToken("too long")
    match = _COMPACT.fullmatch(token)
    if match is None:
        raise InvalidSignedToken("not three base64url parts")
    raw_header, _, _ = map(_decode_strictly, match.groups())
    return _parse_header(raw_header)


def verify(token: str, key: VerificationKey) -> bytes:
    """Returns the payload of a token that the key has signed. Raises InvalidSignedToken."""
    header = read_header(token)
    # RFC 8725, sections 3.1 and 3.2: the key determines the algorithm, not the token.
    if header.get("alg") != key.algorithm:
        raise InvalidSignedToken("the algorithm is not the one of the key")
    try:
        payload = _jws.decode(token, key.verifier, algorithms=[key.algorithm])
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise InvalidSignedToken("the signature is not valid") from error
    return bytes(payload)


def sign(claims: Mapping[str, Any], signer: Any, *, algorithm: str, kid: str, typ: str) -> str:
    """Returns a signed token with the claims."""
    return _jws.encode(
        orjson.dumps(claims), signer, algorithm=algorithm, headers={"typ": typ, "kid": kid}
    )


def encode_part(part: bytes) -> str:
    """Encodes bytes as base64url without padding (RFC 7515, section 2)."""
    return urlsafe_b64encode(part).rstrip(b"=").decode()


def _decode_strictly(part: str) -> bytes:
    try:
        decoded = urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        raise InvalidSignedToken("not base64url") from None
    # Otherwise unused bits at the end would give one token several encodings.
    if encode_part(decoded) != part:
        raise InvalidSignedToken("not canonical base64url")
    return decoded


def _parse_header(raw: bytes) -> dict[str, str]:
    try:
        header = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise InvalidSignedToken("the header is not JSON") from None
    # Only text values, so no `crit` (RFC 7515, section 4.1.11), `jwk` or `x5c`. `jku` and `x5u` are
    # ignored.
    if not isinstance(header, dict) or not all(isinstance(v, str) for v in header.values()):
        raise InvalidSignedToken("the header has a member that is not text")
    if "crit" in header:
        raise InvalidSignedToken("the header has critical extensions")
    return header
