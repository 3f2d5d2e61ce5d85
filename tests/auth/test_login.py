"""Login: credentials, equal work in every case, concurrent changes."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from passlib.context import CryptContext
from passlib.hash import bcrypt
from sqlalchemy import delete, func, select, update

from auth.clients import Client
from auth.errors import AccountDisabled, InvalidCredentials
from auth.login import log_in
from auth.password_change import change_password
from auth.permissions import Console
from auth.records import UserRecord
from auth.token_pairs import TokenPair
from auth.user_access import disable_user, enable_user
from auth.users import find_user_by_name
from auth.viewers import get_viewer
from auth.wiring import Auth
from models.audit_event import AuditEvent
from models.role import UserRole
from models.session import Session
from models.user import User
from server.settings import Switch
from tests.accounts import ALICE, CREATED_AT
from tests.api import serving
from tests.clock import ManualClock
from tests.conftest import make_settings
from tests.databases import recorded_statements

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
async def test_login_accepts_username_or_email_in_any_spelling(auth: Auth, name: str) -> None:
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
async def test_login_refuses_wrong_credentials_with_one_message(
    auth: Auth, name: str, password: str
) -> None:
    with pytest.raises(InvalidCredentials):
        await log_in(auth, BROWSER, username=name, password=password)


async def test_disabled_account_is_reported_only_for_the_right_password(
    auth: Auth, clock: ManualClock
) -> None:
    await set_alice(auth, disabled_at=clock.now())
    with pytest.raises(InvalidCredentials):
        await log_in(auth, BROWSER, username="alice", password="wrong")
    with pytest.raises(AccountDisabled):
        await log_in(auth, BROWSER, username="alice", password=ALICE.password)


@pytest.fixture
def verifications(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hashes that passlib verified, in order."""
    hashes: list[str] = []
    verify = CryptContext.verify

    def counted(context: CryptContext, secret: str, stored: str) -> bool:
        hashes.append(stored)
        return bool(verify(context, secret, stored))

    monkeypatch.setattr(CryptContext, "verify", counted)
    return hashes


WRONG_LOGINS: dict[str, tuple[str, dict[str, object]]] = {
    "wrong password": ("alice", {}),
    "unknown user": ("nobody", {}),
    "unknown address": ("nobody@example.com", {}),
    "impossible name": ("nul\0", {}),
    "disabled": ("alice", {"disabled_at": CREATED_AT}),
    "no password yet": ("alice", {"password_hash": None}),
    "unreadable hash": ("alice", {"password_hash": "rubbish"}),
}


@pytest.mark.parametrize("case", WRONG_LOGINS)
async def test_failed_login_costs_one_verification_in_every_case(
    auth: Auth, verifications: list[str], case: str
) -> None:
    name, row = WRONG_LOGINS[case]
    if row:
        await set_alice(auth, **row)
    with pytest.raises(InvalidCredentials) as refused:
        await log_in(auth, BROWSER, username=name, password="wrong guess")
    assert len(verifications) == 1
    assert verifications[0].startswith("$bcrypt-sha256$v=2,t=2b,r=4$")
    assert (refused.value.message, refused.value.field) == (InvalidCredentials.message, None)


async def test_login_costs_one_verification(auth: Auth, verifications: list[str]) -> None:
    await log_in(auth, BROWSER, username="alice", password=ALICE.password)
    assert len(verifications) == 1


@pytest.fixture
async def costly(sqlite_url: str, tmp_path: Path, clock: ManualClock) -> AsyncIterator[Auth]:
    """A server whose hashes take long enough to be measured."""
    settings = make_settings(sqlite_url, tmp_path).model_copy(
        update={"bcrypt_cost": 8, "throttle": Switch.OFF}
    )
    async with serving(settings, clock) as api:
        await set_alice(api.auth, password_hash=await api.auth.passwords.hash(ALICE.password))
        yield api.auth


async def test_login_takes_the_same_time_for_unknown_users(costly: Auth) -> None:
    took: dict[str, list[float]] = {"alice": [], "nobody": []}
    for _ in range(25):
        for name, times in took.items():
            began = time.process_time()
            with pytest.raises(InvalidCredentials):
                await log_in(costly, BROWSER, username=name, password="wrong guess")
            times.append(time.process_time() - began)
    # The minimum of many CPU times, because other programs and threads only add to it.
    assert min(took["nobody"]) == pytest.approx(min(took["alice"]), rel=0.25)


async def test_login_stores_its_time(auth: Auth, clock: ManualClock) -> None:
    clock.tick(hours=1)
    await log_in(auth, BROWSER, username="alice", password=ALICE.password)
    assert (await get_alice(auth)).last_login_at == clock.now()


async def test_session_stores_the_client(auth: Auth, clock: ManualClock) -> None:
    await log_in(auth, BROWSER, username="alice", password=ALICE.password)
    async with auth.db.read() as db:
        session = (await db.scalars(select(Session))).one()
    assert (session.client_address, session.user_agent) == ("192.0.2.7", "Browser/1.0 (X11)")
    assert session.expires_at == clock.now() + timedelta(days=365)


async def test_every_login_starts_a_session(auth: Auth) -> None:
    for _ in range(2):
        await log_in(auth, Client(), username="alice", password=ALICE.password)
    async with auth.db.read() as db:
        assert len(list(await db.scalars(select(Session)))) == 2


async def count_sessions(auth: Auth) -> int:
    async with auth.db.read() as db:
        query = select(func.count()).select_from(Session).where(Session.revoked_at.is_(None))
        return int(await db.scalar(query) or 0)


async def remove_alice(auth: Auth) -> None:
    async with auth.db.begin() as tx:
        await tx.execute(delete(User).where(User.username == "alice"))


CHANGES: dict[str, tuple[Callable[[Auth], Awaitable[None]], type[Exception]]] = {
    "another password": (lambda auth: set_alice(auth, password_hash="another"), InvalidCredentials),
    "no password": (lambda auth: set_alice(auth, password_hash=None), InvalidCredentials),
    "disabled": (lambda auth: set_alice(auth, disabled_at=CREATED_AT), AccountDisabled),
    "deleted": (remove_alice, InvalidCredentials),
    "to be replaced": (
        lambda auth: set_alice(auth, password_is_temporary=True),
        InvalidCredentials,
    ),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_change_during_the_verification_refuses_the_login(
    auth: Auth, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    verify, (act, refusal) = auth.passwords.verify, CHANGES[change]

    async def verify_and_change(password: str, stored: str | None, **how: Any) -> bool:
        verified = await verify(password, stored, **how)
        await act(auth)
        return verified

    monkeypatch.setattr(auth.passwords, "verify", verify_and_change)
    with pytest.raises(refusal):
        await log_in(auth, BROWSER, username="alice", password=ALICE.password)
    assert await count_sessions(auth) == 0


async def test_password_stays_temporary_if_the_user_is_enabled_during_the_login(
    auth: Auth, monkeypatch: pytest.MonkeyPatch
) -> None:
    await set_alice(auth, disabled_at=CREATED_AT, password_is_temporary=True)
    verify = auth.passwords.verify

    async def verify_and_enable(password: str, stored: str | None, **how: Any) -> bool:
        await set_alice(auth, disabled_at=None)
        return await verify(password, stored, **how)

    monkeypatch.setattr(auth.passwords, "verify", verify_and_enable)
    with pytest.raises(AccountDisabled):
        await log_in(auth, BROWSER, username="alice", password=ALICE.password)
    assert (await get_alice(auth)).password_is_temporary


async def test_password_change_is_recorded_before_the_session_start(auth: Auth) -> None:
    await set_alice(auth, password_is_temporary=True, created_at=auth.clock.now())
    own = "a perfectly good one"
    await log_in(auth, BROWSER, username="alice", password=ALICE.password, new_password=own)
    async with auth.db.read() as session:
        events = list(await session.scalars(select(AuditEvent).order_by(AuditEvent.id)))
    assert [event.action for event in events] == ["password.changed", "session.started"]
    assert events[0].at == events[1].at


async def test_parallel_logins_survive_the_renewal_of_the_hash(auth: Auth) -> None:
    """P7: three of four were refused, because the first renewed the hash."""
    for _ in range(3):
        await set_alice(auth, password_hash=bcrypt.using(rounds=4).hash(ALICE.password))
        logins = [
            log_in(auth, BROWSER, username="alice", password=ALICE.password) for _ in range(4)
        ]
        assert len({s.access_token.text for s in await asyncio.gather(*logins)}) == 4
        assert str((await get_alice(auth)).password_hash).startswith("$bcrypt-sha256$")


async def test_current_password_is_right_while_a_login_renews_the_hash(
    auth: Auth, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P7: the same for operations that need the password."""
    signed_in = await log_in(auth, BROWSER, username="alice", password=ALICE.password)
    viewer = await get_viewer(auth, BROWSER, signed_in.access_token.text)
    hash_, renewed = auth.passwords.hash, bcrypt.using(rounds=4).hash(ALICE.password)

    async def hash_meanwhile(password: str, **how: Any) -> str:
        await set_alice(auth, password_hash=renewed)
        return await hash_(password, **how)

    monkeypatch.setattr(auth.passwords, "hash", hash_meanwhile)
    await change_password(auth, viewer, current=ALICE.password, new="a perfectly good one")
    monkeypatch.undo()
    await log_in(auth, BROWSER, username="alice", password="a perfectly good one")


async def test_login_that_waits_for_an_edit_has_the_new_roles(auth: Auth) -> None:
    has_begun = asyncio.Event()

    async def take_roles_away() -> None:
        async with auth.db.begin() as tx:
            alice = (await tx.scalars(select(User).where(User.username == "alice"))).one()
            alice.version += 1
            await tx.flush()
            await tx.execute(delete(UserRole).where(UserRole.user_id == alice.id))
            has_begun.set()
            await asyncio.sleep(0.3)

    edit = asyncio.create_task(take_roles_away())
    await has_begun.wait()
    signed_in = await log_in(auth, BROWSER, username="alice", password=ALICE.password)
    await edit
    assert (signed_in.user.version, signed_in.user.roles) == (2, ())


async def test_disabling_ends_the_sessions_of_concurrent_logins(auth: Auth) -> None:
    console = Console(auth.permissions)
    alice = await find_user_by_name(auth, "alice")
    assert alice is not None
    for _ in range(5):
        logins = [
            log_in(auth, BROWSER, username="alice", password=ALICE.password) for _ in range(3)
        ]
        outcomes = await asyncio.gather(
            *logins, disable_user(auth, console, alice.id), return_exceptions=True
        )
        assert all(isinstance(o, TokenPair | UserRecord | AccountDisabled) for o in outcomes)
        assert await count_sessions(auth) == 0
        await enable_user(auth, console, alice.id)


async def test_concurrent_logins_get_different_tokens(auth: Auth) -> None:
    logins = [log_in(auth, BROWSER, username="alice", password=ALICE.password) for _ in range(10)]
    assert len({s.access_token.text for s in await asyncio.gather(*logins)}) == 10


async def test_token_expires_with_its_session(auth: Auth, clock: ManualClock) -> None:
    short = timedelta(minutes=5)
    policy = type(auth.session_policy)(idle_lifetime=short, max_age=timedelta(days=1))
    object.__setattr__(auth, "session_policy", policy)
    signed_in = await log_in(auth, BROWSER, username="alice", password=ALICE.password)
    assert signed_in.access_token.expires_in == short


async def test_login_keeps_the_old_hash_if_the_queue_is_full(
    auth: Auth, monkeypatch: pytest.MonkeyPatch
) -> None:
    outdated = str(bcrypt.using(rounds=4).hash(ALICE.password))
    await set_alice(auth, password_hash=outdated)
    monkeypatch.setattr(auth.passwords, "has_room", lambda _share: False)
    signed_in = await log_in(auth, Client(), username="alice", password=ALICE.password)
    assert signed_in.user.username == "alice"
    assert (await get_alice(auth)).password_hash == outdated


@pytest.mark.parametrize("password", [ALICE.password, "a guess"])
async def test_login_does_not_read_the_sessions_of_the_account(auth: Auth, password: str) -> None:
    """A6: each attempt sorted all sessions of the account."""
    with recorded_statements() as sent, suppress(InvalidCredentials):
        await log_in(auth, BROWSER, username="alice", password=password)
    assert sent
    assert not any("FROM sessions" in statement for statement in sent)
