"""Signing keys: algorithms, key generation and JWKs."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, HMACAlgorithm, OKPAlgorithm, RSAAlgorithm


class Algorithm(StrEnum):
    """The signature algorithms of access tokens (RFC 7518, RFC 8037)."""

    ES256 = "ES256"
    EDDSA = "EdDSA"
    RS256 = "RS256"
    HS256 = "HS256"


@dataclass(frozen=True, slots=True)
class Key:
    """A signing key. `public_jwk` is None for a symmetric key."""

    kid: str
    algorithm: Algorithm
    active_from: datetime
    signer: Any = field(repr=False)
    verifier: Any = field(repr=False)
    public_jwk: Mapping[str, Any] | None


def key_from_jwk(
    private_jwk: Mapping[str, Any], *, kid: str, algorithm: str, active_from: datetime
) -> Key:
    """Returns the key of a private JWK (RFC 7517, RFC 7518, RFC 8037)."""
    algorithm = Algorithm(algorithm)
    signer = _READERS[algorithm].from_jwk(dict(private_jwk))
    if algorithm is Algorithm.HS256:
        return Key(kid, algorithm, active_from, signer, signer, None)
    verifier = cast("_PrivateKey", signer).public_key()
    public_jwk = _READERS[algorithm].to_jwk(verifier, as_dict=True)
    public_jwk.pop("key_ops", None)
    public_jwk |= {"kid": kid, "alg": algorithm.value, "use": "sig"}
    return Key(kid, algorithm, active_from, signer, verifier, public_jwk)


_PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

_READERS: Mapping[Algorithm, Any] = {
    Algorithm.ES256: ECAlgorithm,
    Algorithm.EDDSA: OKPAlgorithm,
    Algorithm.RS256: RSAAlgorithm,
    Algorithm.HS256: HMACAlgorithm,
}


def new_private_jwk(algorithm: Algorithm) -> dict[str, Any]:
    """Generates a key and returns its private JWK."""
    match algorithm:
        case Algorithm.ES256:
            key: Any = ec.generate_private_key(ec.SECP256R1())
        case Algorithm.EDDSA:
            key = ed25519.Ed25519PrivateKey.generate()
        case Algorithm.RS256:
            key = rsa.generate_private_key(public_exponent=65537, key_size=3072)
        case Algorithm.HS256:
            # RFC 7518, section 3.2: at least as long as the hash.
            key = secrets.token_bytes(32)
    return cast("dict[str, Any]", _READERS[algorithm].to_jwk(key, as_dict=True))
