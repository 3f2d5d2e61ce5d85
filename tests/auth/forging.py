"""Forges access tokens, with the key of the server, another key or none.

Most forged tokens have a valid signature, so that only the rule under test rejects them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import jwt

from auth.tokens import access_tokens as tokens
from auth.tokens import key_material
from auth.tokens.access_tokens import Grant, TokenPolicy
from auth.tokens.jws import encode_part
from auth.tokens.key_material import Algorithm, Key
from auth.tokens.keys import KeyRing
from tests.accounts import ALICE
from tests.api import Api
from tests.clock import ManualClock


class Absent(Enum):
    """Marks a member to leave out."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT

POLICY = TokenPolicy("https://id.example", "https://api.example")


@dataclass(frozen=True, slots=True)
class Genuine:
    """A token of the server under test, and the key that signed it."""

    text: str
    key: Key

    @property
    def header(self) -> dict[str, Any]:
        return jwt.get_unverified_header(self.text)

    @property
    def claims(self) -> dict[str, Any]:
        claims: dict[str, Any] = jwt.decode(self.text, options={"verify_signature": False})
        return claims

    @property
    def signature(self) -> str:
        return self.text.rpartition(".")[2]

    def with_header(self, **changes: Any) -> str:
        return self.signed(changed(self.header, changes), self.claims)

    def with_claims(self, **changes: Any) -> str:
        return self.signed(self.header, changed(self.claims, changes))

    def signed(self, header: object, claims: object) -> str:
        """Returns a token with this header and these claims, signed by the key of the server."""
        return sign(header, claims, self.key.algorithm, self.key.signer)

    def with_signature(self, signature: bytes) -> str:
        return f"{self.text.rpartition('.')[0]}.{encode_part(signature)}"


def changed(members: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {n: v for n, v in {**members, **changes}.items() if v is not ABSENT}


def sign(header: object, claims: object, algorithm: str, signer: Any) -> str:
    """Signs any header and claims. Bytes are used unchanged, everything else as JSON."""
    text = f"{encode_part(_raw(header))}.{encode_part(_raw(claims))}"
    signature = jwt.get_algorithm_by_name(algorithm).sign(text.encode(), signer)
    return f"{text}.{encode_part(signature)}"


def twice(members: Mapping[str, Any], name: str, first: object, last: object) -> bytes:
    """Returns a JSON object that contains a member twice."""
    others = json.dumps(changed(members, {name: ABSENT})).removesuffix("}")
    again = ", ".join(f"{json.dumps(name)}: {json.dumps(value)}" for value in (first, last))
    return f"{others}, {again}}}".encode()


def new_key(algorithm: Algorithm, clock: ManualClock) -> Key:
    """Returns a key that the server does not have."""
    private_jwk = key_material.new_private_jwk(algorithm)
    return key_material.key_from_jwk(
        private_jwk, kid="of-the-tests", algorithm=algorithm, active_from=clock.now()
    )


async def genuine_of(api: Api) -> Genuine:
    """Signs in and returns the token."""
    return Genuine(await api.log_in(ALICE), await api.auth.keys.signing_key())


async def issue(ring: KeyRing, grant: Grant, clock: ManualClock) -> Genuine:
    """Issues a token without a server."""
    issued = await tokens.issue(ring, POLICY, grant, clock.now())
    return Genuine(issued.text, await ring.signing_key())


def _raw(part: object) -> bytes:
    return part if isinstance(part, bytes) else json.dumps(part).encode()
