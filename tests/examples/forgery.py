"""Forged tokens, made from a valid one. Services must refuse them."""

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from auth.tokens import jws
from auth.tokens.key_material import Key


@dataclass(frozen=True)
class TokenForger:
    """Forges tokens from a valid token and the key that signed it."""

    good: str
    key: Key

    @property
    def claims(self) -> dict[str, Any]:
        return dict(json.loads(_decode(self.good.split(".")[1])))

    def signed_again(self, *, typ: str = "at+jwt", without: str = "", **claims: Any) -> str:
        """Returns a token with other claims, signed with Postern's key."""
        changed = {**self.claims, **claims}
        changed.pop(without, None)
        key = self.key
        return jws.sign(changed, key.signer, algorithm=key.algorithm, kid=key.kid, typ=typ)

    def signed_by_secret(self, secret: bytes) -> str:
        """Returns an HS256 token with the key ID of Postern's key."""
        head = {"alg": "HS256", "typ": "at+jwt", "kid": self.key.kid}
        signed = f"{_encode(json.dumps(head).encode())}.{self.good.split('.')[1]}"
        return f"{signed}.{_encode(hmac.digest(secret, signed.encode(), 'sha256'))}"

    def unsigned(self, algorithm: object) -> str:
        head = {"alg": algorithm, "typ": "at+jwt", "kid": self.key.kid}
        return f"{_encode(json.dumps(head).encode())}.{self.good.split('.')[1]}."

    def tampered(self) -> str:
        head, _, signature = self.good.split(".")
        payload = json.dumps({**self.claims, "roles": ["admin"], "scope": "audit:read"})
        return f"{head}.{_encode(payload.encode())}.{signature}"

    def signed_by_other_key(self) -> str:
        """Returns a token signed by another key, with the key ID of Postern's key."""
        own = ec.generate_private_key(ec.SECP256R1())
        kid, algorithm = self.key.kid, self.key.algorithm
        return jws.sign(self.claims, own, algorithm=algorithm, kid=kid, typ="at+jwt")

    def with_unknown_key_id(self) -> str:
        key = self.key
        return jws.sign(
            self.claims, key.signer, algorithm=key.algorithm, kid="unknown", typ="at+jwt"
        )


def _public_pem(key: Key) -> bytes:
    pem: bytes = key.verifier.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem


FORGERIES: dict[str, Callable[[TokenForger], str]] = {
    "alg none": lambda shop: shop.unsigned("none"),
    "alg None": lambda shop: shop.unsigned("None"),
    "alg as a list": lambda shop: shop.unsigned(["ES256"]),
    "alg as an object": lambda shop: shop.unsigned({}),
    "no signature": lambda shop: shop.unsigned("ES256"),
    "the public key as a secret": lambda shop: shop.signed_by_secret(_public_pem(shop.key)),
    "the public JWK as a secret": lambda shop: shop.signed_by_secret(
        json.dumps(shop.key.public_jwk).encode()
    ),
    "an empty secret": lambda shop: shop.signed_by_secret(b""),
    "tampered with": TokenForger.tampered,
    "cut": lambda shop: shop.good[:-4],
    "signed by a stranger": TokenForger.signed_by_other_key,
    "a key that is not known": TokenForger.with_unknown_key_id,
    "for another audience": lambda shop: shop.signed_again(aud="http://elsewhere.example"),
    "without audience": lambda shop: shop.signed_again(without="aud"),
    "of another issuer": lambda shop: shop.signed_again(iss="http://elsewhere.example"),
    "of no issuer": lambda shop: shop.signed_again(without="iss"),
    "another kind of JWT": lambda shop: shop.signed_again(typ="JWT"),
    "without an end": lambda shop: shop.signed_again(without="exp"),
    "long over": lambda shop: shop.signed_again(exp=1_000_000_000),
    "without a session": lambda shop: shop.signed_again(without="sid"),
    "no token": lambda _: "abc",
}


def _encode(part: bytes) -> str:
    return urlsafe_b64encode(part).rstrip(b"=").decode()


def _decode(part: str) -> bytes:
    return urlsafe_b64decode(part + "==")
