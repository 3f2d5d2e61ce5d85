"""Logging in: who proves the password gets a session; everybody else gets the same words."""

import asyncio
from datetime import timedelta

import pytest
from passlib.hash import bcrypt
from sqlalchemy import select, update

from auth.errors import AccountDisabled, InvalidCredentials
from auth.login import log_in
from auth.sessions import Client
from auth.wiring import Auth
from models.session import Session
from models.user import User
from tests.clock import ManualClock
from tests.people import ALICE

BROWSER = Client(address="192.0.2.7", user_agent="Browser/1.0\x07 (X11)")


async def set_alice(auth: Auth, **values: object) -> None:
    async with auth.db.begin() as tx:
        await tx.execute(update(User).where(User.username == "alice").values(**values))


async def get_alice(auth: Auth) -> User:
    async with auth.db.read() as session:
        return (await session.scalars(select(User).where(User.username == "alice"))).one()


@pytest.mark.parametrize(
    "name", ["alice", "ALICE", " alice ", "alice@example.com", "Alice@Example.com"]
)
async def test_a_username_or_an_address_in_any_spelling_will_do(auth: Auth, name: str) -> None:
    signed_in = await log_in(auth, BROWSER, username=name, password=ALICE.password)
    assert signed_in.user.username == "alice"


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("alice", "wrong"),
        ("alice", ""),
        ("alice", ALICE.password + " "),
        ("alice", "a" * 1_000_000),
        ("alice", "nul\0"),
        ("alice", "half \ud800"),
        ("nobody", ALICE.password),
        ("", ALICE.password),
        ("nul\0", ALICE.password),
        ("half \ud800", ALICE.password),
        ("x" * 1_000_000, ALICE.password),
        ("nobody@example.com", ALICE.password),
        ("@" + "x" * 300, ALICE.password),
    ],
)
async def test_anything_else_is_refused_in_the_same_words(
    auth: Auth, name: str, password: str
) -> None:
    with pytest.raises(InvalidCredentials):
        await log_in(auth, BROWSER, username=name, password=password)


async def test_a_disabled_user_is_told_so_only_with_the_right_password(
    auth: Auth, clock: ManualClock
) -> None:
    await set_alice(auth, disabled_at=clock.now())
    with pytest.raises(InvalidCredentials):
        await log_in(auth, BROWSER, username="alice", password="wrong")
    with pytest.raises(AccountDisabled):
        await log_in(auth, BROWSER, username="alice", password=ALICE.password)


async def test_an_account_without_a_password_opens_to_none(auth: Auth) -> None:
    await set_alice(auth, password_hash=None)
    with pytest.raises(InvalidCredentials):
        await log_in(auth, BROWSER, username="alice", password=ALICE.password)


async def test_an_old_hash_is_replaced_at_login(auth: Auth) -> None:
    await set_alice(auth, password_hash=bcrypt.using(rounds=4).hash("an old one"))
    await log_in(auth, BROWSER, username="alice", password="an old one")
    stored = (await get_alice(auth)).password_hash
    assert stored is not None
    assert stored.startswith("$bcrypt-sha256$v=2,")
    await log_in(auth, BROWSER, username="alice", password="an old one")


async def test_a_login_is_remembered(auth: Auth, clock: ManualClock) -> None:
    clock.tick(hours=1)
    await log_in(auth, BROWSER, username="alice", password=ALICE.password)
    assert (await get_alice(auth)).last_login_at == clock.now()


async def test_a_session_remembers_where_it_began(auth: Auth, clock: ManualClock) -> None:
    await log_in(auth, BROWSER, username="alice", password=ALICE.password)
    async with auth.db.read() as db:
        session = (await db.scalars(select(Session))).one()
    assert (session.client_address, session.user_agent) == ("192.0.2.7", "Browser/1.0 (X11)")
    assert session.expires_at == clock.now() + timedelta(days=365)


async def test_every_login_is_a_session_of_its_own(auth: Auth) -> None:
    for _ in range(2):
        await log_in(auth, Client(), username="alice", password=ALICE.password)
    async with auth.db.read() as db:
        assert len(list(await db.scalars(select(Session)))) == 2


@pytest.mark.parametrize(
    ("change", "refusal"),
    [("password_hash", InvalidCredentials), ("disabled_at", AccountDisabled)],
)
async def test_what_changes_while_the_password_is_verified_counts(
    auth: Auth,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
    change: str,
    refusal: type[Exception],
) -> None:
    verify = auth.passwords.verify
    value = {"password_hash": "another", "disabled_at": clock.now()}[change]

    async def verify_and_change(password: str, stored: str | None) -> bool:
        verified = await verify(password, stored)
        await set_alice(auth, **{change: value})
        return verified

    monkeypatch.setattr(auth.passwords, "verify", verify_and_change)
    with pytest.raises(refusal):
        await log_in(auth, BROWSER, username="alice", password=ALICE.password)


async def test_many_log_in_at_once(auth: Auth) -> None:
    logins = [log_in(auth, BROWSER, username="alice", password=ALICE.password) for _ in range(12)]
    assert len({s.access_token.text for s in await asyncio.gather(*logins)}) == 12


async def test_a_token_never_outlives_its_session(auth: Auth, clock: ManualClock) -> None:
    short = timedelta(minutes=5)
    policy = type(auth.session_policy)(idle_lifetime=short, max_age=timedelta(days=1))
    object.__setattr__(auth, "session_policy", policy)
    signed_in = await log_in(auth, BROWSER, username="alice", password=ALICE.password)
    assert signed_in.access_token.expires_in == short
