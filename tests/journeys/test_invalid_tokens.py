"""Invalid tokens are refused with a reason, and do not prevent a login."""

import base64
import hmac
import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from auth.tokens.key_material import Key
from tests.accounts import ALICE
from tests.api import Api, denials
from tests.clock import ManualClock

Forge = Callable[[dict[str, Any], dict[str, Any], Key], str]


def encode(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def unsigned(header: dict[str, Any], claims: dict[str, Any]) -> str:
    return f"{encode(json.dumps(header).encode())}.{encode(json.dumps(claims).encode())}."


def resign(key: Key, claims: dict[str, Any], header: dict[str, Any]) -> str:
    return jwt.encode(claims, key.signer, key.algorithm, headers=header)


def with_claim(name: str, value: Any) -> Forge:
    return lambda header, claims, key: resign(key, {**claims, name: value}, header)


def without_claim(name: str) -> Forge:
    return lambda header, claims, key: resign(
        key, {n: v for n, v in claims.items() if n != name}, header
    )


def with_header(**members: Any) -> Forge:
    return lambda header, claims, key: resign(key, claims, {**header, **members})


def signed_by_another(header: dict[str, Any], claims: dict[str, Any], key: Key) -> str:
    return jwt.encode(claims, ec.generate_private_key(ec.SECP256R1()), "ES256", headers=header)


def hmac_with_the_public_key(header: dict[str, Any], claims: dict[str, Any], key: Key) -> str:
    pem = key.verifier.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signed = unsigned({**header, "alg": "HS256"}, claims).rstrip(".")
    return f"{signed}.{encode(hmac.digest(pem, signed.encode(), 'sha256'))}"


def kid_a_number(header: dict[str, Any], claims: dict[str, Any], key: Key) -> str:
    return unsigned({**header, "kid": 7}, claims) + "A" * 86


FORGERIES: dict[str, Forge] = {
    "no signature": lambda header, claims, _: unsigned({**header, "alg": "none"}, claims),
    "alg NONE": lambda header, claims, _: unsigned({**header, "alg": "NONE"}, claims),
    "alg null": lambda header, claims, _: unsigned({**header, "alg": None}, claims),
    "another key, same kid": signed_by_another,
    "unknown kid": with_header(kid="of-another-server"),
    "kid a number": kid_a_number,
    "kid a path": with_header(kid="../../../../dev/null"),
    "public key as HMAC secret": hmac_with_the_public_key,
    "typ JWT": with_header(typ="JWT"),
    "typ of a refresh token": with_header(typ="rt+jwt"),
    "crit": with_header(crit=["exp"]),
    "empty crit": with_header(crit=[]),
    "jwk in the header": with_header(jwk={"kty": "oct", "k": "AAAA"}),
    "x5c in the header": with_header(x5c=["AAAA"]),
    "nested header": with_header(deep=[[[[]]]]),
    "other issuer": with_claim("iss", "https://evil.example"),
    "issuer with the same prefix": with_claim("iss", "http://localhost:8000.evil.example"),
    "other audience": with_claim("aud", "https://evil.example"),
    "exp as text": with_claim("exp", "4000000000"),
    "exp a float": with_claim("exp", 4e9),
    "exp far beyond time": with_claim("exp", 10**20),
    "exp true": with_claim("exp", True),
    "sub a number": with_claim("sub", 1),
    "sub of another user": with_claim("sub", "01900000-0000-7000-8000-000000000001"),
    "sid of nothing": with_claim("sid", "01900000-0000-7000-8000-000000000001"),
    "sid with braces": with_claim("sid", "{01900000-0000-7000-8000-000000000001}"),
    **{
        f"without {name}": without_claim(name)
        for name in ("iss", "aud", "exp", "iat", "sub", "sid", "jti")
    },
}


@pytest.fixture
async def parts(
    sqlite_api: Api,
) -> tuple[dict[str, Any], dict[str, Any], Key]:
    """The header and the claims of a valid token, and the key that signed it."""
    token = await sqlite_api.log_in(ALICE)
    header = jwt.get_unverified_header(token)
    claims = jwt.decode(token, options={"verify_signature": False})
    key = await sqlite_api.auth.keys.signing_key()
    return header, claims, key


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_forged_token_is_refused_and_login_still_works(
    sqlite_api: Api, parts: tuple[dict[str, Any], dict[str, Any], Key], forgery: str
) -> None:
    token = FORGERIES[forgery](*parts)
    result = await sqlite_api.ask("{ me { id } }", token=token)
    assert denials(result) == [{"code": "UNAUTHENTICATED", "reason": "TOKEN_INVALID"}]
    payload = await sqlite_api.try_login(ALICE.username, ALICE.password, token=token)
    assert payload["user"]["username"] == "alice"


@pytest.mark.parametrize("claim", ["iat", "nbf"])
async def test_token_from_the_future_is_refused_as_expired(
    sqlite_api: Api, parts: tuple[dict[str, Any], dict[str, Any], Key], claim: str
) -> None:
    token = with_claim(claim, 32_000_000_000)(*parts)
    result = await sqlite_api.ask("{ me { id } }", token=token)
    assert denials(result) == [{"code": "UNAUTHENTICATED", "reason": "TOKEN_EXPIRED"}]


SPELLINGS: dict[str, Callable[[str], str]] = {
    "truncated": lambda token: token[:-1],
    "doubled signature": lambda token: token + token.rpartition(".")[2],
    "no signature part": lambda token: token.rpartition(".")[0],
    "padded": lambda token: token + "=",
    "foreign character": lambda token: token[:-5] + "!" + token[-5:],
    "blank inside": lambda token: token.replace(".", ". ", 1),
    "nine kilobytes": lambda token: token + "A" * 9000,
    "zero signature": lambda token: token.rpartition(".")[0] + "." + "A" * 86,
    "nothing": lambda _: "",
    "rubbish": lambda _: "a.b.c",
    "deep header": lambda token: encode(b"[" * 3000) + token[token.index(".") :],
}


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_token_has_only_one_valid_encoding(sqlite_api: Api, spelling: str) -> None:
    token = await sqlite_api.log_in(ALICE)
    result = await sqlite_api.ask("{ me { id } }", token=SPELLINGS[spelling](token))
    assert denials(result) == [{"code": "UNAUTHENTICATED", "reason": "TOKEN_INVALID"}]


async def test_expired_token_is_refused_as_expired(sqlite_api: Api, clock: ManualClock) -> None:
    token = await sqlite_api.log_in(ALICE)
    clock.tick(minutes=30)
    result = await sqlite_api.ask("{ me { id } }", token=token)
    assert denials(result) == [{"code": "UNAUTHENTICATED", "reason": "TOKEN_EXPIRED"}]
    assert (await sqlite_api.try_login("alice", ALICE.password, token=token))["errors"] == []


async def test_token_is_valid_for_thirty_minutes(sqlite_api: Api, clock: ManualClock) -> None:
    token = await sqlite_api.log_in(ALICE)
    clock.tick(minutes=29, seconds=59)
    assert await sqlite_api.data("{ me { username } }", token=token)
