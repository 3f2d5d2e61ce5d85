"""Sessions: timeouts, revocation and the stored client."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from auth.clients import Client
from auth.login import log_in
from auth.sessions import (
    SessionPolicy,
    is_active,
    is_active_at,
    revoke_session,
    revoke_sessions_of,
    start_session,
)
from auth.wiring import Auth
from models.base import uuid7
from models.session import RevocationReason, Session
from tests.accounts import ALICE, BOB, Account
from tests.clock import ManualClock

NO_CLIENT = Client()
REASON = RevocationReason.REVOKED_BY_OWNER


async def start(auth: Auth, account: Account = ALICE, client: Client = NO_CLIENT) -> Session:
    """Signs a user in. Returns the row of the session."""
    signed_in = await log_in(auth, client, username=account.username, password=account.password)
    async with auth.db.read() as db:
        newest = select(Session).where(Session.user_id == signed_in.user.id)
        return (await db.scalars(newest.order_by(Session.id.desc()).limit(1))).one()


async def reload(auth: Auth, session: Session) -> Session:
    async with auth.db.read() as db:
        return await db.get_one(Session, session.id)


async def test_session_ends_at_idle_timeout(auth: Auth, clock: ManualClock) -> None:
    session = await start(auth)
    clock.tick(days=30, seconds=-1)
    assert is_active(session, clock.now())
    clock.tick(seconds=1)
    assert not is_active(session, clock.now())


async def test_session_ends_at_absolute_timeout(clock: ManualClock) -> None:
    now = clock.now()
    session = Session(idle_expires_at=now + timedelta(days=30), expires_at=now)
    assert not is_active(session, now)


@pytest.mark.parametrize("revoked", [False, True])
@pytest.mark.parametrize("idle", [-1, 0, 1])
@pytest.mark.parametrize("absolute", [-1, 0, 1])
async def test_sql_and_python_agree_on_active_sessions(
    auth: Auth, clock: ManualClock, *, revoked: bool, idle: int, absolute: int
) -> None:
    session, now = await start(auth), clock.now()
    values = {
        "revoked_at": now if revoked else None,
        "idle_expires_at": now + timedelta(seconds=idle),
        "expires_at": now + timedelta(seconds=absolute),
    }
    async with auth.db.begin() as tx:
        await tx.execute(update(Session).where(Session.id == session.id).values(values))
    async with auth.db.read() as db:
        found = await db.scalar(
            select(Session.id).where(Session.id == session.id, is_active_at(now))
        )
    active = not revoked and idle > 0 and absolute > 0
    assert (found is not None, is_active(await reload(auth, session), now)) == (active, active)


async def test_revoked_session_has_ended(auth: Auth, clock: ManualClock) -> None:
    session = await start(auth)
    async with auth.db.begin() as tx:
        assert await revoke_session(tx, session.id, REASON, clock.now()) == 1
    assert not is_active(await reload(auth, session), clock.now())


async def test_revocation_keeps_the_first_time_and_reason(auth: Auth, clock: ManualClock) -> None:
    session, ended_at = await start(auth), clock.now()
    async with auth.db.begin() as tx:
        await revoke_session(tx, session.id, REASON, ended_at)
    clock.tick(hours=1)
    async with auth.db.begin() as tx:
        later = RevocationReason.USER_DISABLED
        assert await revoke_session(tx, session.id, later, clock.now()) == 0
        assert await revoke_sessions_of(tx, session.user_id, later, clock.now()) == 0
    row = await reload(auth, session)
    assert (row.revoked_at, row.revocation_reason) == (ended_at, REASON)


async def test_revocation_of_all_sessions_is_limited_to_the_user(
    auth: Auth, clock: ManualClock
) -> None:
    first, second, of_bob = await start(auth), await start(auth), await start(auth, BOB)
    async with auth.db.begin() as tx:
        assert await revoke_sessions_of(tx, first.user_id, REASON, clock.now()) == 2
    ended = [(await reload(auth, s)).revoked_at for s in (first, second, of_bob)]
    assert ended == [clock.now(), clock.now(), None]


async def test_revocation_of_unknown_session_does_nothing(auth: Auth, clock: ManualClock) -> None:
    async with auth.db.begin() as tx:
        assert await revoke_session(tx, uuid7(), REASON, clock.now()) == 0


async def test_idle_timeout_is_at_most_the_absolute_timeout(auth: Auth, clock: ManualClock) -> None:
    policy = SessionPolicy(idle_lifetime=timedelta(days=30), max_age=timedelta(days=1))
    user_id = (await start(auth)).user_id
    async with auth.db.begin() as tx:
        session = start_session(tx, policy, user_id, Client(), clock.now())
        assert session.idle_expires_at == session.expires_at == clock.now() + timedelta(days=1)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (None, None),
        ("", ""),
        ("Browser/1.0\x07 (X11)\r\nSet-Cookie: a", "Browser/1.0 (X11)Set-Cookie: a"),
        ("nul\0 and \ud800 and \u202e", "nul and  and "),
        ("x" * 100_000, "x" * 200),
        ("\0" * 300 + "x", "x"),
    ],
)
async def test_user_agent_is_truncated_and_printable(
    auth: Auth, sent: str | None, kept: str | None
) -> None:
    session = await start(auth, client=Client(address="192.0.2.7", user_agent=sent))
    assert (session.client_address, session.user_agent) == ("192.0.2.7", kept)
