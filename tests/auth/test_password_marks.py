"""Links and device proofs end when the password changes, not when a sign-in renews its hash."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import pytest
from passlib.hash import bcrypt, pbkdf2_sha256
from sqlalchemy import select, update

from auth.clients import Client
from auth.credentials import Credentials, find_credentials
from auth.email_change import confirm_email_change, request_email_change
from auth.email_verification import request_email_verification, verify_email
from auth.errors import InvalidCredentials, LinkInvalid, RateLimited
from auth.link_passwords import TypedPassword
from auth.login import log_in
from auth.password_change import change_password
from auth.password_marks import list_password_identifiers
from auth.password_reset import request_password_reset, reset_password
from auth.tokens.link_tokens import LIFETIMES, Purpose, parse_link_token
from auth.viewers import get_viewer
from auth.wiring import Auth
from models.link import Link
from models.user import User
from server.settings import Settings
from tests.accounts import ALICE, cheap_hash
from tests.api import Api, serving
from tests.clock import ManualClock
from tests.emails import Mailbox

HERE = Client("192.0.2.7")
NEW, NEXT = "a password of my own", "another of my own"
IMPORTED = {
    "bcrypt": bcrypt.using(rounds=4).hash(ALICE.password),
    "pbkdf2": pbkdf2_sha256.using(rounds=1_000).hash(ALICE.password),
}


async def set_hash(auth: Auth, password_hash: str) -> None:
    """Stores a hash like an import, a process of an older version, or an operator in psql."""
    async with auth.db.begin() as tx:
        alice = update(User).where(User.username == ALICE.username)
        await tx.execute(alice.values(password_hash=password_hash))


async def sign_in(auth: Auth, proofs: Sequence[str] = (), password: str = ALICE.password) -> str:
    """Signs in and returns the device proof."""
    name = ALICE.username
    signed_in = await log_in(auth, HERE, username=name, password=password, proofs=proofs)
    assert signed_in.device_proof
    return signed_in.device_proof


async def ask_for_reset(api: Api, mailbox: Mailbox) -> str:
    await request_password_reset(api.auth, HERE, email=ALICE.email)
    await api.send_emails()
    return mailbox.last(ALICE.email).token


async def get_alice(auth: Auth) -> Credentials:
    alice = await find_credentials(auth.db, ALICE.username)
    assert alice
    return alice


@pytest.fixture
async def costlier(settings: Settings, clock: ManualClock) -> AsyncIterator[Api]:
    """A second process on the same database, with a higher hash cost."""
    async with serving(settings.model_copy(update={"bcrypt_cost": 5}), clock) as other:
        await other.delivery.stop()
        yield other


# Links


@pytest.mark.parametrize("kind", IMPORTED)
async def test_reset_link_survives_the_renewal_of_the_hash(
    api: Api, mailbox: Mailbox, kind: str
) -> None:
    await set_hash(api.auth, IMPORTED[kind])
    token = await ask_for_reset(api, mailbox)
    await sign_in(api.auth)
    assert (await get_alice(api.auth)).password_hash != IMPORTED[kind]
    await reset_password(api.auth, HERE, token=token, new=NEW)
    await sign_in(api.auth, password=NEW)


async def test_reset_link_survives_a_renewal_while_the_email_is_sent(
    api: Api, mailbox: Mailbox
) -> None:
    await set_hash(api.auth, IMPORTED["bcrypt"])
    await request_password_reset(api.auth, HERE, email=ALICE.email)
    await asyncio.gather(sign_in(api.auth), api.send_emails())
    token = mailbox.last(ALICE.email).token
    await reset_password(api.auth, HERE, token=token, new=NEW)


async def test_email_change_link_survives_a_raised_cost(
    api: Api, costlier: Api, mailbox: Mailbox
) -> None:
    """The sign-in after the request renews the hash in a process with another cost."""
    signed_in = await log_in(api.auth, HERE, username=ALICE.username, password=ALICE.password)
    viewer = await get_viewer(costlier.auth, HERE, signed_in.access_token.text)
    email = "new@example.com"
    await request_email_change(costlier.auth, viewer, new_email=email, password=ALICE.password)
    await costlier.send_emails()
    await sign_in(costlier.auth)
    token = mailbox.last(email).token
    await confirm_email_change(costlier.auth, HERE, token, password=ALICE.password)


async def test_link_ends_if_another_hash_is_stored_by_hand(api: Api, mailbox: Mailbox) -> None:
    """A process of an older version changes a password without the mark."""
    await set_hash(api.auth, IMPORTED["bcrypt"])
    token = await ask_for_reset(api, mailbox)
    await set_hash(api.auth, cheap_hash(NEW))
    with pytest.raises(LinkInvalid):
        await reset_password(api.auth, HERE, token=token, new=NEXT)


async def test_link_ends_with_the_password_after_a_renewal(api: Api, mailbox: Mailbox) -> None:
    await set_hash(api.auth, IMPORTED["bcrypt"])
    token = await ask_for_reset(api, mailbox)
    await sign_in(api.auth)
    await set_hash(api.auth, cheap_hash(NEW))
    with pytest.raises(LinkInvalid):
        await reset_password(api.auth, HERE, token=token, new=NEXT)


async def test_link_issued_by_an_older_version_works(api: Api, mailbox: Mailbox) -> None:
    await ask_for_reset(api, mailbox)
    await sign_in(api.auth)
    alice = await get_alice(api.auth)
    state = str(alice.user_id), ALICE.email, alice.password_hash, None
    purpose = Purpose.PASSWORD_RESET
    expires_at = api.auth.clock.now() + LIFETIMES[purpose]
    token = api.auth.links.issue(purpose, await id_of_link(api.auth), expires_at, *state)
    await reset_password(api.auth, HERE, token=token, new=NEW)


async def test_link_is_accepted_by_an_older_version(api: Api, mailbox: Mailbox) -> None:
    """The older version identifies a password by its hash."""
    await sign_in(api.auth)
    token = parse_link_token(await ask_for_reset(api, mailbox))
    alice = await get_alice(api.auth)
    state = str(alice.user_id), ALICE.email, alice.password_hash, None
    api.auth.links.check(Purpose.PASSWORD_RESET, token, api.auth.clock.now(), *state)


async def test_link_ends_if_a_login_replaces_a_temporary_password(
    api: Api, mailbox: Mailbox
) -> None:
    await set_hash(api.auth, IMPORTED["bcrypt"])
    async with api.auth.db.begin() as tx:
        alice = update(User).where(User.username == ALICE.username)
        now = api.auth.clock.now()
        await tx.execute(alice.values(password_is_temporary=True, created_at=now))
    token = await ask_for_reset(api, mailbox)
    name, old = ALICE.username, ALICE.password
    await log_in(api.auth, HERE, username=name, password=old, new_password=NEW)
    with pytest.raises(LinkInvalid):
        await reset_password(api.auth, HERE, token=token, new=NEXT)


async def id_of_link(auth: Auth) -> UUID:
    async with auth.db.read() as session:
        return (await session.scalars(select(Link.id))).one()


async def test_email_is_verified_while_a_login_renews_the_hash(
    api: Api, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P7: the right password was refused."""
    auth = api.auth
    signed_in = await log_in(auth, HERE, username=ALICE.username, password=ALICE.password)
    await set_hash(auth, IMPORTED["bcrypt"])
    viewer = await get_viewer(auth, HERE, signed_in.access_token.text)
    await request_email_verification(auth, viewer)
    await api.send_emails()
    verify = auth.passwords.verify

    async def verify_meanwhile(*password: Any, **how: Any) -> bool:
        monkeypatch.undo()
        await sign_in(auth)
        return await verify(*password, **how)

    monkeypatch.setattr(auth.passwords, "verify", verify_meanwhile)
    token = mailbox.last(ALICE.email).token
    user = await verify_email(auth, HERE, token, TypedPassword(ALICE.password))
    assert user.email_verified


# Devices


async def have_own_budgets(auth: Auth, proofs: Sequence[str], password: str) -> bool:
    """Returns whether guesses with one proof do not delay sign-ins with another."""
    first, *others = proofs
    for _ in range(10):
        with pytest.raises(InvalidCredentials):
            await sign_in(auth, [first], password="a guess")
    with pytest.raises(RateLimited):
        await sign_in(auth, [first], password=password)
    try:
        for other in others:
            await sign_in(auth, [other], password=password)
    except RateLimited:
        return False
    return True


async def test_device_proofs_survive_the_renewal_of_the_hash(api: Api, costlier: Api) -> None:
    proofs = [await sign_in(api.auth), await sign_in(api.auth)]
    before = (await get_alice(api.auth)).password_hash
    await sign_in(costlier.auth)
    assert (await get_alice(api.auth)).password_hash != before
    assert await have_own_budgets(costlier.auth, proofs, ALICE.password)


async def test_device_proofs_of_an_older_version_work(api: Api) -> None:
    alice = await get_alice(api.auth)
    assert alice.password_hash
    now = api.auth.clock.now()
    older = api.auth.devices.issue(alice.user_id, alice.password_hash, now)
    newer = await sign_in(api.auth)
    assert await have_own_budgets(api.auth, [older, newer], ALICE.password)


async def test_device_proofs_of_concurrent_logins_have_one_password_id(api: Api) -> None:
    """After the upgrade no password has an ID at the first sign-ins."""
    proofs = await asyncio.gather(*(sign_in(api.auth) for _ in range(4)))
    alice = await get_alice(api.auth)
    names = list_password_identifiers(alice)
    devices = [await api.auth.devices.find([p], alice.user_id, names) for p in proofs]
    assert len(set(devices)) == 4


async def test_device_proofs_share_a_budget_after_another_hash_is_stored_by_hand(
    api: Api,
) -> None:
    """A process of an older version changes the password without the mark."""
    proofs = [await sign_in(api.auth), await sign_in(api.auth)]
    await set_hash(api.auth, cheap_hash(NEW))
    assert not await have_own_budgets(api.auth, proofs, NEW)


async def test_device_proofs_share_a_budget_after_a_change_and_a_renewal(
    api: Api, costlier: Api
) -> None:
    proofs = [await sign_in(api.auth), await sign_in(api.auth)]
    signed_in = await log_in(api.auth, HERE, username=ALICE.username, password=ALICE.password)
    viewer = await get_viewer(api.auth, HERE, signed_in.access_token.text)
    await change_password(api.auth, viewer, current=ALICE.password, new=NEW)
    await sign_in(costlier.auth, password=NEW)
    assert not await have_own_budgets(costlier.auth, proofs, NEW)
