"""Tokens that a service must refuse, made of a good one."""

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
class Workshop:
    """A good token, and the key that Postern signed it with."""

    good: str
    key: Key

    @property
    def claims(self) -> dict[str, Any]:
        return dict(json.loads(_decode(self.good.split(".")[1])))

    def resigned(self, *, typ: str = "at+jwt", without: str = "", **claims: Any) -> str:
        """Other claims, under Postern's own signature."""
        changed = {**self.claims, **claims}
        changed.pop(without, None)
        key = self.key
        return jws.sign(changed, key.signer, algorithm=key.algorithm, kid=key.kid, typ=typ)

    def signed_by_secret(self, secret: bytes) -> str:
        """HS256, under the name of Postern's key."""
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

    def of_a_stranger(self) -> str:
        """Signed by a key of one's own, under the name of Postern's."""
        own = ec.generate_private_key(ec.SECP256R1())
        kid, algorithm = self.key.kid, self.key.algorithm
        return jws.sign(self.claims, own, algorithm=algorithm, kid=kid, typ="at+jwt")

    def of_an_unknown_key(self) -> str:
        key = self.key
        return jws.sign(
            self.claims, key.signer, algorithm=key.algorithm, kid="unknown", typ="at+jwt"
        )


def _public_pem(key: Key) -> bytes:
    pem: bytes = key.verifier.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem


FORGERIES: dict[str, Callable[[Workshop], str]] = {
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
    "tampered with": Workshop.tampered,
    "cut": lambda shop: shop.good[:-4],
    "signed by a stranger": Workshop.of_a_stranger,
    "a key that is not known": Workshop.of_an_unknown_key,
    "for another audience": lambda shop: shop.resigned(aud="http://elsewhere.example"),
    "for nobody": lambda shop: shop.resigned(without="aud"),
    "of another issuer": lambda shop: shop.resigned(iss="http://elsewhere.example"),
    "of no issuer": lambda shop: shop.resigned(without="iss"),
    "another kind of JWT": lambda shop: shop.resigned(typ="JWT"),
    "without an end": lambda shop: shop.resigned(without="exp"),
    "long over": lambda shop: shop.resigned(exp=1_000_000_000),
    "without a session": lambda shop: shop.resigned(without="sid"),
    "no token": lambda _: "abc",
}


def _encode(part: bytes) -> str:
    return urlsafe_b64encode(part).rstrip(b"=").decode()


def _decode(part: str) -> bytes:
    return urlsafe_b64decode(part + "==")
