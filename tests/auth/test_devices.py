"""Device proofs: password guessing by others does not delay a known device."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from auth.clients import Client
from auth.devices import LIFETIME
from auth.email_change import request_email_change
from auth.email_verification import request_email_verification
from auth.errors import InvalidCredentials, RateLimited
from auth.invitations import create_invitation
from auth.login import log_in
from auth.logout import end_session, log_out
from auth.password_change import change_password
from auth.password_reset import request_password_reset
from auth.token_pairs import TokenPair
from auth.users import find_user_by_name
from auth.viewers import get_viewer
from auth.wiring import Auth
from tests.accounts import ALICE, BOB, OPERATOR, Account
from tests.api import BASE_URL, Api, codes, serving
from tests.clock import ManualClock
from tests.conftest import make_settings
from tests.emails import Mailbox
from tests.mutations import viewer_for

HOME, TRAIN = Client("192.0.2.7"), Client("203.0.113.50")
NEW = "a password of my own"


async def sign_in(
    auth: Auth,
    client: Client = HOME,
    proofs: Sequence[str] = (),
    account: Account = ALICE,
    password: str | None = None,
) -> TokenPair:
    return await log_in(
        auth,
        client,
        username=account.username,
        password=account.password if password is None else password,
        proofs=proofs,
    )


async def fail(auth: Auth, times: int, client: Client = HOME, proofs: Sequence[str] = ()) -> None:
    """Fails to sign in this often. All failures are counted."""
    for _ in range(times):
        with pytest.raises(InvalidCredentials):
            await sign_in(auth, client, proofs, password="no")


async def attack(auth: Auth) -> None:
    """Fails to sign in as alice from many networks, until all unknown devices are delayed."""
    for number in range(20):
        await fail(auth, 1, Client(f"198.51.100.{number}"))
    for client in (HOME, TRAIN):
        with pytest.raises(RateLimited):
            await sign_in(auth, client)


def proof_of(signed_in: TokenPair) -> str:
    assert signed_in.device_proof
    return signed_in.device_proof


async def test_known_device_signs_in_during_an_attack(auth: Auth) -> None:
    """Without device proofs, the user was refused 45 of 45 times with the right password."""
    signed_in = await sign_in(auth)
    await attack(auth)
    for client in (HOME, TRAIN):
        for proof in (proof_of(signed_in), signed_in.refresh_token.text):
            await sign_in(auth, client, [proof])


async def test_known_device_is_not_delayed_by_its_network(auth: Auth) -> None:
    proof = proof_of(await sign_in(auth))
    for number in range(100):
        with pytest.raises(InvalidCredentials):
            await log_in(auth, HOME, username=f"user{number}", password="no")
    with pytest.raises(RateLimited):
        await sign_in(auth, account=BOB)
    await sign_in(auth, HOME, [proof])


async def test_known_device_has_a_rate_limit(auth: Auth, clock: ManualClock) -> None:
    proof = proof_of(await sign_in(auth))
    await fail(auth, 10, proofs=[proof])
    with pytest.raises(RateLimited) as refused:
        await sign_in(auth, proofs=[proof])
    assert refused.value.retry_after.total_seconds() == 1
    # Unknown devices and other known devices are not delayed.
    other = await sign_in(auth, TRAIN)
    await sign_in(auth, HOME, [proof_of(other)])
    clock.tick(seconds=1)
    await sign_in(auth, proofs=[proof])
    await fail(auth, 10, proofs=[proof])


async def test_device_proof_does_not_sign_in(auth: Auth) -> None:
    proof = proof_of(await sign_in(auth))
    for password in ("", "no", proof):
        with pytest.raises(InvalidCredentials):
            await sign_in(auth, proofs=[proof], password=password)


async def test_device_proof_of_another_user_is_ignored(auth: Auth) -> None:
    bob = await sign_in(auth, account=BOB)
    await attack(auth)
    with pytest.raises(RateLimited):
        await sign_in(auth, HOME, [proof_of(bob), bob.refresh_token.text])


async def test_forged_device_proof_is_ignored(auth: Auth) -> None:
    proof = proof_of(await sign_in(auth))
    await attack(auth)
    swapped = proof[:-1] + ("A" if proof[-1] != "A" else "B")
    middle = proof[:40] + ("A" if proof[40] != "A" else "B") + proof[41:]
    for forged in (swapped, middle, proof + "=", proof[:-4], "pdp_", "", "prt_x", "pdp_é" * 20):
        with pytest.raises(RateLimited):
            await sign_in(auth, HOME, [forged])


async def test_device_proof_expires(auth: Auth, clock: ManualClock) -> None:
    proof = proof_of(await sign_in(auth))
    clock.tick(seconds=LIFETIME.total_seconds() + 1)
    await attack(auth)
    with pytest.raises(RateLimited):
        await sign_in(auth, HOME, [proof])


async def test_device_proof_is_valid_after_rotation_of_the_secret(
    database_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    old, new = "the old secret, long enough to be one", "the new secret, as long as the old one"
    settings = make_settings(database_url, tmp_path)
    before = settings.model_copy(update={"secret_key": SecretStr(old)})
    after = settings.model_copy(update={"secret_key": SecretStr(f"{new},{old}")})
    async with serving(before, clock) as api:
        signed_in = await sign_in(api.auth)
    async with serving(after, clock) as api:
        await attack(api.auth)
        await sign_in(api.auth, TRAIN, [proof_of(signed_in)])
        await sign_in(api.auth, TRAIN, [signed_in.refresh_token.text])


async def test_refresh_token_of_an_ended_session_is_a_device_proof(
    auth: Auth, clock: ManualClock
) -> None:
    signed_in = await sign_in(auth)
    viewer = await get_viewer(auth, HOME, signed_in.access_token.text)
    await log_out(auth, HOME, viewer.session_id)
    expired = await sign_in(auth, TRAIN)
    clock.tick(days=31)
    await attack(auth)
    for ended in (signed_in, expired):
        await sign_in(auth, TRAIN, [ended.refresh_token.text])


async def test_refresh_token_of_a_device_that_the_user_revoked_is_ignored(
    auth: Auth,
) -> None:
    stolen, user = await sign_in(auth, TRAIN), await sign_in(auth)
    attacker = await get_viewer(auth, TRAIN, stolen.access_token.text)
    viewer = await get_viewer(auth, HOME, user.access_token.text)
    await end_session(auth, viewer, attacker.session_id)
    await attack(auth)
    with pytest.raises(RateLimited):
        await sign_in(auth, TRAIN, [stolen.refresh_token.text])


async def test_proofs_older_than_the_password_share_one_budget(auth: Auth) -> None:
    """An attacker who knew the old password could have collected many proofs."""
    collected = [await sign_in(auth, TRAIN) for _ in range(5)]
    viewer = await get_viewer(auth, HOME, (await sign_in(auth)).access_token.text)
    await change_password(auth, viewer, current=ALICE.password, new=NEW)
    for signed_in in collected:
        await fail(auth, 1, TRAIN, [proof_of(signed_in)])
        await fail(auth, 1, TRAIN, [signed_in.refresh_token.text])
    for signed_in in collected:
        for proof in (proof_of(signed_in), signed_in.refresh_token.text):
            with pytest.raises(RateLimited):
                await sign_in(auth, TRAIN, [proof], password="no")


async def test_proof_older_than_the_password_signs_in_during_an_attack(auth: Auth) -> None:
    signed_in = await sign_in(auth, TRAIN)
    viewer = await get_viewer(auth, HOME, (await sign_in(auth)).access_token.text)
    await change_password(auth, viewer, current=ALICE.password, new=NEW)
    await attack(auth)
    await sign_in(auth, TRAIN, [proof_of(signed_in)], password=NEW)


# Over HTTP

LOGIN = """mutation L($input: LoginInput!) { login(input: $input) {
  tokens { accessToken refreshToken } errors { code } } }"""
OURS = {"Origin": BASE_URL}


async def try_login(
    api: Api, account: Account = ALICE, *, headers: Any = OURS, password: str = "", **more: str
) -> Any:
    given = {"username": account.username, "password": password or account.password, **more}
    return await api.post(LOGIN, {"input": given}, headers=headers)


def payload_of(reply: Any) -> Any:
    return reply.json()["data"]["login"]


def device_cookie(reply: Any) -> str:
    """The value of the cookie that the reply sets."""
    lines = [line for line in reply.headers.get_list("set-cookie") if "postern_device" in line]
    assert len(lines) == 1
    assert "HttpOnly" in lines[0]
    assert "SameSite=Strict" in lines[0]
    assert "Path=/;" in lines[0]
    assert f"Max-Age={400 * 86_400}" in lines[0]
    return str(lines[0].partition(";")[0].partition("=")[2])


def with_cookie(value: str, **headers: str) -> dict[str, str]:
    return {"Cookie": f"postern_device_8000={value}", **headers}


async def test_login_with_cookie_delivery_sets_a_device_cookie(sqlite_api: Api) -> None:
    cookie = device_cookie(await try_login(sqlite_api, delivery="COOKIE"))
    sqlite_api.http.cookies.clear()
    await attack(sqlite_api.auth)
    assert codes(payload_of(await try_login(sqlite_api))) == ["RATE_LIMITED"]
    evil = with_cookie(cookie, Origin="https://evil.example")
    assert codes(payload_of(await try_login(sqlite_api, headers=evil))) == ["RATE_LIMITED"]
    assert codes(payload_of(await try_login(sqlite_api, headers=with_cookie(cookie)))) == [
        "RATE_LIMITED"
    ]
    ours = with_cookie(cookie, **OURS)
    assert codes(payload_of(await try_login(sqlite_api, headers=ours))) == []


async def test_device_cookie_stays_after_logout(sqlite_api: Api) -> None:
    reply = await try_login(sqlite_api, delivery="COOKIE")
    token = payload_of(reply)["tokens"]["accessToken"]
    out = await sqlite_api.post(
        "mutation { logout { endedSessions } }",
        headers={"Authorization": f"Bearer {token}", **OURS},
    )
    assert not any("postern_device" in line for line in out.headers.get_list("set-cookie"))


async def test_device_cookie_is_set_only_with_cookie_delivery(
    sqlite_api: Api,
) -> None:
    reply = await try_login(sqlite_api)
    assert reply.headers.get_list("set-cookie") == []


async def test_device_cookie_keeps_one_valid_proof_per_user(sqlite_api: Api) -> None:
    one = device_cookie(await try_login(sqlite_api, delivery="COOKIE"))
    headers = with_cookie(one, **OURS)
    both = device_cookie(await try_login(sqlite_api, BOB, headers=headers, delivery="COOKIE"))
    assert both.split(".")[1] == one
    # A new sign-in replaces the proof of its user. Invalid proofs are removed.
    headers = with_cookie(f"{both}.invalid", **OURS)
    again = device_cookie(await try_login(sqlite_api, headers=headers, delivery="COOKIE"))
    assert again.split(".")[1:] == both.split(".")[:1]
    await attack(sqlite_api.auth)
    for cookie in (both, again):
        headers = with_cookie(cookie, **OURS)
        assert codes(payload_of(await try_login(sqlite_api, headers=headers))) == []


async def test_device_cookie_over_https_is_bound_to_the_host(
    sqlite_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    changes = {"public_url": "https://localhost"}
    settings = make_settings(sqlite_url, tmp_path).model_copy(update=changes)
    async with serving(settings, clock) as api:
        reply = await try_login(api, headers={"Origin": "https://localhost"}, delivery="COOKIE")
        [line] = [x for x in reply.headers.get_list("set-cookie") if "device" in x]
        assert line.startswith("__Host-postern_device=pdp_")
        assert line.endswith("; Secure")


async def test_login_accepts_an_earlier_refresh_token_as_device_proof(sqlite_api: Api) -> None:
    token = payload_of(await try_login(sqlite_api, headers={}))["tokens"]["refreshToken"]
    await attack(sqlite_api.auth)
    for given, expected in ((token, []), ("prt_made-up", ["RATE_LIMITED"])):
        reply = await try_login(sqlite_api, headers={}, refreshToken=given)
        assert codes(payload_of(reply)) == expected


async def test_password_grant_accepts_an_earlier_refresh_token_as_device_proof(
    sqlite_api: Api,
) -> None:
    form = {"username": "alice", "password": ALICE.password}
    token = (await sqlite_api.http.post("/token", data=form)).json()["refresh_token"]
    await attack(sqlite_api.auth)
    assert (await sqlite_api.http.post("/token", data=form)).status_code == 429
    reply = await sqlite_api.http.post("/token", data={**form, "refresh_token": token})
    assert reply.status_code == 200


# Mutations that prove the password of an account without a sign-in

CHOSEN = "a password of my own"


async def token_to_reset(api: Api, mailbox: Mailbox) -> str:
    await request_password_reset(api.auth, HOME, email=ALICE.email)
    await api.send_emails()
    return mailbox.last(ALICE.email).token


async def token_to_verify(api: Api, mailbox: Mailbox) -> str:
    await request_email_verification(api.auth, await viewer_for(api, ALICE))
    await api.send_emails()
    return mailbox.last(ALICE.email).token


async def token_to_change(api: Api, mailbox: Mailbox) -> str:
    email = "new@example.com"
    viewer = await viewer_for(api, ALICE)
    await request_email_change(api.auth, viewer, new_email=email, password=ALICE.password)
    await api.send_emails()
    return mailbox.last(email).token


async def token_to_register(api: Api, mailbox: Mailbox) -> str:
    await create_invitation(api.auth, OPERATOR, email="carol@example.com", role_ids=[])
    await api.send_emails()
    return mailbox.last("carol@example.com").token


async def no_token(_api: Api, _mailbox: Mailbox) -> str:
    return ""


REGISTRATION = """username: "carol", email: "carol@example.com",
    password: "a password of my own", invitation: "%s" """
PROVING: dict[str, tuple[Any, str]] = {
    "resetPassword": (token_to_reset, 'token: "%s", newPassword: "a password of my own"'),
    "verifyEmail": (token_to_verify, 'token: "%s", password: "correct horse battery"'),
    "confirmEmailChange": (token_to_change, 'token: "%s", password: "correct horse battery"'),
    "changePassword": (
        no_token,
        'currentPassword: "correct horse battery", newPassword: "a password of my own"',
    ),
    "register": (token_to_register, REGISTRATION),
}


async def prove(api: Api, mailbox: Mailbox, mutation: str, **headers: str) -> Any:
    """Runs one of these mutations, signed in as alice if needed."""
    find_token, given = PROVING[mutation]
    token = await find_token(api, mailbox)
    given = given % token if token else given
    bearer = {} if token else {"Authorization": f"Bearer {await api.log_in(ALICE)}"}
    document = f"mutation {{ {mutation}(input: {{{given}}}) {{ errors {{ code }} }} }}"
    reply = await api.post(document, headers={**bearer, **headers})
    assert reply.json()["data"][mutation]["errors"] == []
    return reply


@pytest.mark.parametrize("mutation", PROVING)
async def test_mutation_that_proves_a_password_sets_a_device_cookie(
    sqlite_api: Api, mailbox: Mailbox, mutation: str
) -> None:
    """Otherwise the device of a user who has just reset the password would be unknown."""
    cookie = device_cookie(await prove(sqlite_api, mailbox, mutation, **OURS))
    name = "carol" if mutation == "register" else ALICE.username
    user = await find_user_by_name(sqlite_api.auth, name)
    proof = sqlite_api.auth.devices.verify(cookie)
    assert user
    assert proof
    assert proof.user_id == user.id


@pytest.mark.parametrize("headers", [{}, {"Origin": "https://evil.example"}])
@pytest.mark.parametrize("mutation", PROVING)
async def test_device_cookie_is_set_only_for_allowed_origins(
    sqlite_api: Api, mailbox: Mailbox, mutation: str, headers: dict[str, str]
) -> None:
    reply = await prove(sqlite_api, mailbox, mutation, **headers)
    assert reply.headers.get_list("set-cookie") == []


async def test_user_signs_in_after_a_reset_during_an_attack(
    sqlite_api: Api, mailbox: Mailbox
) -> None:
    cookie = device_cookie(await prove(sqlite_api, mailbox, "resetPassword", **OURS))
    await attack(sqlite_api.auth)
    headers = with_cookie(cookie, **OURS)
    reply = await try_login(sqlite_api, headers=headers, password=CHOSEN)
    assert codes(payload_of(reply)) == []


async def test_device_that_changed_the_password_has_its_own_budget(
    sqlite_api: Api, mailbox: Mailbox
) -> None:
    older = [device_cookie(await try_login(sqlite_api, delivery="COOKIE")) for _ in range(2)]
    sqlite_api.http.cookies.clear()
    headers = with_cookie(older[0], **OURS)
    cookie = device_cookie(await prove(sqlite_api, mailbox, "changePassword", **headers))
    assert "." not in cookie
    await fail(sqlite_api.auth, 10, proofs=[older[1]])
    with pytest.raises(RateLimited):
        await sign_in(sqlite_api.auth, proofs=[older[0]], password=CHOSEN)
    await sign_in(sqlite_api.auth, proofs=[cookie], password=CHOSEN)


async def test_current_proof_is_preferred_to_an_older_one(auth: Auth) -> None:
    """A browser sends the proof from before the change together with its refresh token."""
    older, other = await sign_in(auth), await sign_in(auth)
    signed_in = await sign_in(auth)
    viewer = await get_viewer(auth, HOME, signed_in.access_token.text)
    await change_password(auth, viewer, current=ALICE.password, new=NEW)
    await fail(auth, 10, proofs=[proof_of(other)])
    proofs = [proof_of(older), signed_in.refresh_token.text]
    await sign_in(auth, proofs=proofs, password=NEW)
