"""Access tokens: issuing, and verification of forged and unusual tokens.

`tests/journeys/test_invalid_tokens.py` tests simpler forgeries.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from auth.errors import TokenExpired, TokenInvalid
from auth.role_edits import RoleForm, create_role
from auth.token_introspection import introspect
from auth.tokens import access_tokens as tokens
from auth.tokens.access_tokens import Grant, TokenPolicy
from auth.tokens.jws import MAX_TOKEN_LENGTH, encode_part
from auth.tokens.key_material import Algorithm
from auth.tokens.key_set import LEEWAY
from auth.tokens.keys import KeyRing
from auth.tokens.link_tokens import Purpose, parse_link_token
from auth.tokens.refresh_tokens import RefreshToken
from auth.tokens.secret_keys import SecretKeys
from auth.user_access import set_user_roles
from auth.users import find_user_by_name
from graph.cookies import CookiePolicy
from models.base import uuid7
from models.database import Database
from tests.accounts import ALICE, BOB, OPERATOR
from tests.api import Api, denials
from tests.auth.forging import (
    ABSENT,
    POLICY,
    Genuine,
    changed,
    genuine_of,
    issue,
    new_key,
    sign,
    twice,
)
from tests.clock import ManualClock
from tests.sessions import Device

ME = "{ me { username } }"
INVALID = [{"code": "UNAUTHENTICATED", "reason": "TOKEN_INVALID"}]
Forge = Callable[[Genuine, ManualClock], Any]


def header(**changes: Any) -> Forge:
    return lambda genuine, _: genuine.with_header(**changes)


def claims(**changes: Any) -> Forge:
    return lambda genuine, _: genuine.with_claims(**changes)


def raw_header(header: bytes) -> Forge:
    return lambda genuine, _: genuine.signed(header, genuine.claims)


def raw_payload(payload: object) -> Forge:
    return lambda genuine, _: genuine.signed(genuine.header, payload)


def claim_twice(name: str, first: Any = None, last: Any = None) -> Forge:
    return lambda genuine, _: genuine.signed(
        genuine.header,
        twice(genuine.claims, name, first or genuine.claims[name], last or genuine.claims[name]),
    )


def header_twice(name: str, first: Any = None, last: Any = None) -> Forge:
    return lambda genuine, _: genuine.signed(
        twice(genuine.header, name, first or genuine.header[name], last or genuine.header[name]),
        genuine.claims,
    )


def later(name: str, wait: timedelta) -> Forge:
    return lambda genuine, clock: genuine.with_claims(
        **{name: int((clock.now() + wait).timestamp())}
    )


def claiming(algorithm: object) -> Forge:
    """Names another algorithm in the header than that of the signature."""
    return header(alg=algorithm)


def hmac_with(secret: Callable[[Genuine], bytes]) -> Forge:
    return lambda genuine, _: sign(
        {**genuine.header, "alg": "HS256"}, genuine.claims, "HS256", secret(genuine)
    )


def signature(make: Callable[[bytes], bytes]) -> Forge:
    return lambda genuine, _: genuine.with_signature(make(decode(genuine.signature)))


def decode(part: str) -> bytes:
    return jwt.utils.base64url_decode(part)


def as_der(raw: bytes) -> bytes:
    return encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))


def with_unused_bits(genuine: Genuine, _: ManualClock) -> str:
    # 64 bytes are 86 characters. The last character holds two bits only.
    following = {"A": "B", "Q": "R", "g": "h", "w": "x"}
    return genuine.text[:-1] + following[genuine.text[-1]]


def signed_by_other_key_with_jku(genuine: Genuine, clock: ManualClock) -> str:
    other_key = new_key(Algorithm.ES256, clock)
    urls = {"jku": "http://127.0.0.1:1/jwks.json", "x5u": "http://127.0.0.1:1/x.pem"}
    return sign({**genuine.header, **urls}, genuine.claims, "ES256", other_key.signer)


def signed_by_other_key_with_jwk(genuine: Genuine, clock: ManualClock) -> str:
    other_key = new_key(Algorithm.ES256, clock)
    embedded = {**genuine.header, "jwk": other_key.public_jwk}
    return sign(embedded, genuine.claims, "ES256", other_key.signer)


def point_of(genuine: Genuine) -> bytes:
    return bytes(genuine.key.verifier.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))


FOREIGN_KIDS: tuple[object, ...] = (
    ABSENT,
    None,
    True,
    1.5,
    [],
    {},
    "",
    "' OR 1=1 --",
    "http://127.0.0.1:1/",
    "\0",
)

HEADERS: dict[str, Forge] = {
    **{f"alg {alg!r}": claiming(alg) for alg in ("none", "nOnE", "HS256", "PS256", ["none"], 0)},
    "no alg": header(alg=ABSENT),
    "HMAC with the point": hmac_with(point_of),
    "HMAC with the JWK": hmac_with(lambda genuine: repr(genuine.key.public_jwk).encode()),
    "HMAC with nothing": hmac_with(lambda _: b""),
    **{f"typ {typ}": header(typ=typ) for typ in (ABSENT, None, "", "at", "id+jwt", ["at+jwt"])},
    **{f"kid {kid!r}": header(kid=kid) for kid in FOREIGN_KIDS},
    "kid half a surrogate pair": raw_header(b'{"alg": "ES256", "typ": "at+jwt", "kid": "\\ud800"}'),
    "crit as text": header(crit="exp"),
    "unencoded payload": header(b64=False),
    "kid twice, another last": header_twice("kid", last="of-another"),
    "alg twice, none last": header_twice("alg", last="none"),
    "a list": raw_header(b"[]"),
    "invalid JSON": raw_header(b"{"),
    "5000 digits": raw_header(b'{"alg": ' + b"7" * 5000 + b"}"),
    "invalid UTF-8": raw_header(b'{"alg": "\xff"}'),
    "2600 lists": raw_header(b'{"alg": ' + b"[" * 2600 + b"]" * 2600 + b"}"),
    "jku": signed_by_other_key_with_jku,
    "jwk": signed_by_other_key_with_jwk,
}

PAYLOADS: dict[str, Forge] = {
    "a list": raw_payload([]),
    "text": raw_payload("alice"),
    "null": raw_payload(None),
    "invalid JSON": raw_payload(b"{"),
    "invalid UTF-8": raw_payload(b'{"sub": "\xff"}'),
    "half a surrogate pair": raw_payload(b'{"sub": "\\ud800"}'),
    "5000 digits": raw_payload(b'{"exp": ' + b"7" * 5000 + b"}"),
    "2600 lists": raw_payload(b"[" * 2600 + b"]" * 2600),
}

INVALID_TIMES: tuple[object, ...] = (
    None,
    True,
    False,
    "4000000000",
    [],
    4e9,
    -1,
    32_503_680_001,
    float("nan"),
)

INVALID_IDS: tuple[object, ...] = (
    None,
    "",
    "alice",
    [],
    {},
    True,
    "\0",
    "urn:uuid:01900000-0000-7000-8000-000000000001",
)
INVALID_TEXTS: tuple[object, ...] = (None, "", 7, [])
INVALID_AUDIENCES: tuple[object, ...] = (
    [],
    ["https://other.example"],
    {"https://api.example": 1},
    1,
    None,
)

CLAIMS: dict[str, Forge] = {
    **{
        f"{name} {value!r}": claims(**{name: value})
        for name in ("exp", "iat", "nbf")
        for value in (*INVALID_TIMES, float("inf"))
    },
    **{f"aud {aud!r}": claims(aud=aud) for aud in INVALID_AUDIENCES},
    "longer aud": claims(aud="https://api.example.com"),
    "prefix of aud": claims(aud="https://api"),
    "iss with a slash": claims(iss="https://id.example/"),
    "iss in capitals": claims(iss="HTTPS://ID.EXAMPLE"),
    "iss in a list": claims(iss=["https://id.example"]),
    **{
        f"{name} {value!r}": claims(**{name: value})
        for name in ("sub", "sid")
        for value in INVALID_IDS
    },
    "sub in capitals": lambda genuine, _: genuine.with_claims(sub=genuine.claims["sub"].upper()),
    "sid without hyphens": lambda genuine, _: genuine.with_claims(
        sid=genuine.claims["sid"].replace("-", "")
    ),
    **{f"jti {jti!r}": claims(jti=jti) for jti in INVALID_TEXTS},
    "iss twice, another last": claim_twice("iss", last="https://evil.example"),
    "exp twice, text last": claim_twice("exp", last="4000000000"),
}

SIGNATURES: dict[str, Forge] = {
    "DER": signature(as_der),
    "reversed halves": signature(lambda raw: raw[32:] + raw[:32]),
    "one byte less": signature(lambda raw: raw[:-1]),
    "one byte more": signature(lambda raw: raw + b"\0"),
    "a zero before each half": signature(lambda raw: b"\0" + raw[:32] + b"\0" + raw[32:]),
    "zero r": signature(lambda raw: bytes(32) + raw[32:]),
    "zero s": signature(lambda raw: raw[:32] + bytes(32)),
    "one byte": signature(lambda _: b"\0"),
    "unused bits": with_unused_bits,
    "of another token": lambda genuine, _: (
        f"{genuine.text.rpartition('.')[0]}.{genuine.with_claims(jti='x').rpartition('.')[2]}"
    ),
}

FORGERIES = {
    f"{group}: {name}": forge
    for group, forges in {
        "header": HEADERS,
        "payload": PAYLOADS,
        "claim": CLAIMS,
        "signature": SIGNATURES,
    }.items()
    for name, forge in forges.items()
}

VARIANTS: dict[str, Forge] = {
    "signed again": header(),
    "long type": header(typ="application/at+jwt"),
    "type in capitals": header(typ="AT+JWT"),
    "ignored jku": header(jku="http://127.0.0.1:1/jwks.json"),
    "kid twice, the valid one last": header_twice("kid", first="of-another"),
    "iss twice, the valid one last": claim_twice("iss", first="https://evil.example"),
    "several audiences": claims(aud=["https://other.example", "https://api.example"]),
    "unknown claim": claims(acr="1"),
    "iat within the leeway": later("iat", LEEWAY),
    "nbf within the leeway": later("nbf", LEEWAY),
    "nbf past": later("nbf", timedelta(hours=-1)),
}


@pytest.fixture
async def ring(sqlite_url: str, clock: ManualClock) -> AsyncIterator[KeyRing]:
    db = Database.connect(sqlite_url)
    ring = KeyRing(db, SecretKeys(["a secret"]), clock, Algorithm.ES256)
    await ring.start()
    yield ring
    await db.close()


@pytest.fixture
def grant(clock: ManualClock) -> Grant:
    ends_at = clock.now() + timedelta(days=30)
    return Grant(uuid7(), uuid7(), ["user"], ["a:read", "b:read"], ends_at)


@pytest.fixture
async def genuine(ring: KeyRing, grant: Grant, clock: ManualClock) -> Genuine:
    return await issue(ring, grant, clock)


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_forged_token_is_invalid(
    ring: KeyRing, genuine: Genuine, clock: ManualClock, forgery: str
) -> None:
    with pytest.raises(TokenInvalid):
        await tokens.verify(ring, POLICY, FORGERIES[forgery](genuine, clock), clock.now())


@pytest.mark.parametrize("variant", VARIANTS)
async def test_standard_variant_is_accepted(
    ring: KeyRing, genuine: Genuine, clock: ManualClock, variant: str
) -> None:
    assert await tokens.verify(ring, POLICY, VARIANTS[variant](genuine, clock), clock.now())


@pytest.fixture
async def alice_token(sqlite_api: Api) -> Genuine:
    return await genuine_of(sqlite_api)


async def test_forged_token_fails_me_and_does_not_prevent_login(
    sqlite_api: Api, alice_token: Genuine, clock: ManualClock
) -> None:
    for name, forge in FORGERIES.items():
        token = forge(alice_token, clock)
        assert denials(await sqlite_api.ask(ME, token=token)) == INVALID, name
        payload = await sqlite_api.try_login(ALICE.username, ALICE.password, token=token)
        assert payload["errors"] == [], name


async def test_roles_in_token_grant_no_permissions(sqlite_api: Api, alice_token: Genuine) -> None:
    token = alice_token.with_claims(roles=["admin"], scope="users:read roles:write")
    result = await sqlite_api.ask("{ users { nodes { id } } }", token=token)
    assert denials(result) == [{"code": "FORBIDDEN", "required": "users:read"}]


async def test_token_with_session_of_other_user_is_invalid(
    sqlite_api: Api, alice_token: Genuine
) -> None:
    bob = Genuine(await sqlite_api.log_in(BOB), alice_token.key).claims["sub"]
    assert denials(await sqlite_api.ask(ME, token=alice_token.with_claims(sub=bob))) == INVALID


async def test_expired_forged_token_is_reported_as_invalid(
    sqlite_api: Api, alice_token: Genuine, clock: ManualClock
) -> None:
    clock.tick(hours=1)
    other_key = new_key(Algorithm.ES256, clock)
    token = sign(alice_token.header, alice_token.claims, "ES256", other_key.signer)
    assert denials(await sqlite_api.ask(ME, token=token)) == INVALID


async def test_expires_in_is_never_longer_than_lifetime(
    sqlite_api: Api, clock: ManualClock
) -> None:
    clock.tick(milliseconds=700)
    tokens_ = (await sqlite_api.try_login(ALICE.username, ALICE.password))["tokens"]
    assert tokens_["expiresIn"] == 1799
    clock.tick(seconds=tokens_["expiresIn"], milliseconds=-1)
    assert not (await sqlite_api.ask(ME, token=tokens_["accessToken"])).get("errors")


async def test_old_token_of_known_key_is_expired(
    sqlite_api: Api, alice_token: Genuine, clock: ManualClock
) -> None:
    clock.tick(days=365)
    result = await sqlite_api.ask(ME, token=alice_token.text)
    assert denials(result) == [{"code": "UNAUTHENTICATED", "reason": "TOKEN_EXPIRED"}]


async def test_claims_follow_rfc_9068(ring: KeyRing, grant: Grant, clock: ManualClock) -> None:
    token = await issue(ring, grant, clock)
    now = int(clock.now().timestamp())
    assert token.header == {"alg": "ES256", "typ": "at+jwt", "kid": token.key.kid}
    assert changed(token.claims, {"jti": ABSENT}) == {
        "iss": POLICY.issuer,
        "aud": POLICY.audience,
        "sub": str(grant.user_id),
        "sid": str(grant.session_id),
        "iat": now,
        "exp": now + 1800,
        "roles": ["user"],
        "scope": "a:read b:read",
    }


async def test_issued_token_is_verified(ring: KeyRing, grant: Grant, clock: ManualClock) -> None:
    token = await issue(ring, grant, clock)
    verified = await tokens.verify(ring, POLICY, token.text, clock.now())
    assert (verified.user_id, verified.session_id) == (grant.user_id, grant.session_id)
    assert verified.token_id == token.claims["jti"]
    assert verified.expires_at == clock.now() + POLICY.lifetime


async def test_token_ids_are_unique(ring: KeyRing, grant: Grant, clock: ManualClock) -> None:
    issued = [await issue(ring, grant, clock) for _ in range(20)]
    assert len({token.claims["jti"] for token in issued}) == 20


async def test_token_expires_with_its_session(
    ring: KeyRing, grant: Grant, clock: ManualClock
) -> None:
    clock.tick(days=30, minutes=-1)
    issued = await tokens.issue(ring, POLICY, grant, clock.now())
    assert issued.expires_in == timedelta(minutes=1)
    assert Genuine(issued.text, await ring.signing_key()).claims["exp"] == int(
        grant.ends_at.timestamp()
    )


async def test_token_expires_at_exact_second(
    ring: KeyRing, grant: Grant, clock: ManualClock
) -> None:
    token = await issue(ring, grant, clock)
    clock.tick(minutes=29, seconds=59.999)
    assert await tokens.verify(ring, POLICY, token.text, clock.now())
    clock.tick(seconds=0.001)
    with pytest.raises(TokenExpired):
        await tokens.verify(ring, POLICY, token.text, clock.now())


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text() | st.text("eyJ.-_A9=", max_size=60))
async def test_any_text_is_invalid(ring: KeyRing, clock: ManualClock, text: str) -> None:
    with pytest.raises(TokenInvalid):
        await tokens.verify(ring, POLICY, text, clock.now())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
CLAIM_NAMES = ["iss", "aud", "sub", "sid", "jti", "iat", "exp", "nbf"]


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(changes=st.dictionaries(st.sampled_from(CLAIM_NAMES), json_values, min_size=1))
async def test_claims_of_any_shape_are_invalid_or_expired(
    ring: KeyRing, grant: Grant, clock: ManualClock, changes: dict[str, Any]
) -> None:
    token = (await issue(ring, grant, clock)).with_claims(**changes)
    try:
        verified = await tokens.verify(ring, POLICY, token, clock.now())
    except (TokenInvalid, TokenExpired):
        return
    assert verified.expires_at > clock.now()


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(place=st.integers(0, 2000), character=st.characters() | st.sampled_from("ABab01-_.="))
async def test_token_with_changed_character_is_invalid(
    ring: KeyRing, grant: Grant, clock: ManualClock, place: int, character: str
) -> None:
    text = (await issue(ring, grant, clock)).text
    place %= len(text)
    assume(text[place] != character)
    with pytest.raises(TokenInvalid):
        await tokens.verify(ring, POLICY, text[:place] + character + text[place + 1 :], clock.now())


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(place=st.integers(0, 2000), character=st.characters() | st.sampled_from("ABab01-_.="))
async def test_token_with_added_character_is_invalid(
    ring: KeyRing, grant: Grant, clock: ManualClock, place: int, character: str
) -> None:
    text = (await issue(ring, grant, clock)).text
    place %= len(text)
    with pytest.raises(TokenInvalid):
        await tokens.verify(ring, POLICY, text[:place] + character + text[place:], clock.now())


async def test_truncated_token_is_invalid(ring: KeyRing, grant: Grant, clock: ManualClock) -> None:
    text = (await issue(ring, grant, clock)).text
    for end in range(len(text)):
        with pytest.raises(TokenInvalid):
            await tokens.verify(ring, POLICY, text[:end], clock.now())


async def test_token_of_other_installation_is_invalid(
    ring: KeyRing, grant: Grant, clock: ManualClock
) -> None:
    token = await issue(ring, grant, clock)
    other_key = new_key(Algorithm.ES256, clock)
    forged = sign(token.header, token.claims, "ES256", other_key.signer)
    with pytest.raises(TokenInvalid):
        await tokens.verify(ring, POLICY, forged, clock.now())


def test_forgery_changes_unused_bits_of_signature() -> None:
    assert {encode_part(bytes(63) + bytes([n]))[-1] for n in range(256)} == set("AQgw")


# Size of tokens


# One name repeated, since random lists are rarely long enough to reach the limit.
role_names = st.builds(
    str.__mul__,
    st.characters(min_codepoint=33, exclude_categories=["Cs"]),
    st.integers(min_value=1, max_value=64),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(role=role_names, roles=st.integers(0, 200), permission=role_names)
@example(role="r" * 64, roles=88, permission="p")
async def test_issued_token_of_any_size_is_accepted(
    ring: KeyRing, grant: Grant, clock: ManualClock, role: str, roles: int, permission: str
) -> None:
    large = replace(grant, roles=[role] * roles, permissions=[permission] * 60)
    issued = await tokens.issue(ring, POLICY, large, clock.now())
    assert len(issued.text) <= tokens.ISSUED_MAX_LENGTH < MAX_TOKEN_LENGTH
    verified = await tokens.verify(ring, POLICY, issued.text, clock.now())
    assert verified.session_id == grant.session_id


@pytest.mark.parametrize("algorithm", list(Algorithm))
async def test_longest_issuer_and_audience_fit_in_token(
    sqlite_url: str, grant: Grant, clock: ManualClock, algorithm: Algorithm
) -> None:
    policy = TokenPolicy("https://" + "ä" * 504, "ä" * 512)
    db = Database.connect(sqlite_url)
    ring = KeyRing(db, SecretKeys(["a secret"]), clock, algorithm)
    await ring.start()
    large = replace(grant, roles=["r" * 64] * 88)
    issued = await tokens.issue(ring, policy, large, clock.now())
    await db.close()
    assert len(issued.text) <= tokens.ISSUED_MAX_LENGTH


async def test_token_with_too_many_roles_omits_them(
    ring: KeyRing, grant: Grant, clock: ManualClock
) -> None:
    large = replace(grant, roles=["r" * 64] * 88)
    with capture_logs() as logs:
        issued = await tokens.issue(ring, POLICY, large, clock.now())
    token = Genuine(issued.text, await ring.signing_key())
    assert not {"roles", "scope"} & token.claims.keys()
    (entry,) = logs
    assert (entry["event"], entry["user_id"]) == ("token.hints_omitted", str(grant.user_id))


async def test_user_with_88_long_role_names_can_sign_in(sqlite_api: Api) -> None:
    auth = sqlite_api.auth
    alice = await find_user_by_name(auth, ALICE.username)
    assert alice
    forms = [RoleForm(f"{'role-' * 12}{number:03}", "", ()) for number in range(88)]
    roles = [await create_role(auth, OPERATOR, form) for form in forms]
    await set_user_roles(auth, OPERATOR, alice.id, [role.id for role in roles])
    device = await Device(sqlite_api).log_in(ALICE)
    assert await device.is_signed_in()
    await device.refresh()
    assert await device.is_signed_in()
    headers = {"Authorization": f"Bearer {device.access_token}"}
    shown = (await sqlite_api.http.get("/users/me", headers=headers)).json()
    assert len(shown["roles"]) == 88
    live = await introspect(auth, OPERATOR, device.access_token)
    assert live
    assert live.user_id == alice.id


async def test_cookies_and_link_tokens_are_short(sqlite_api: Api, clock: ManualClock) -> None:
    auth = sqlite_api.auth
    refresh_token = auth.refresh_tokens.encode(RefreshToken(uuid7(), 2**31 - 1))
    for secure in (True, False):
        policy = CookiePolicy(secure=secure, allowed_origins=frozenset())
        # RFC 6265, section 6.1: browsers accept cookies of 4096 bytes.
        assert len(policy.write(refresh_token, timedelta(days=3650))) < 500
    for purpose in Purpose:
        text = auth.links.issue(purpose, uuid7(), clock.now() + timedelta(days=7), "x" * 10_000)
        auth.links.check(purpose, parse_link_token(text), clock.now(), "x" * 10_000)
        assert len(text) < 100
