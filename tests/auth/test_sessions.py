"""A session: how long it lasts, what it remembers, and that it ends once."""

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

NOWHERE = Client()
REASON = RevocationReason.REVOKED_BY_OWNER


async def begin(auth: Auth, account: Account = ALICE, client: Client = NOWHERE) -> Session:
    """A session of somebody, as its row."""
    signed_in = await log_in(auth, client, username=account.username, password=account.password)
    async with auth.db.read() as db:
        newest = select(Session).where(Session.user_id == signed_in.user.id)
        return (await db.scalars(newest.order_by(Session.id.desc()).limit(1))).one()


async def reload(auth: Auth, session: Session) -> Session:
    async with auth.db.read() as db:
        return await db.get_one(Session, session.id)


async def test_a_session_ends_when_it_is_not_used(auth: Auth, clock: ManualClock) -> None:
    session = await begin(auth)
    clock.tick(days=30, seconds=-1)
    assert is_active(session, clock.now())
    clock.tick(seconds=1)
    assert not is_active(session, clock.now())


async def test_a_session_ends_at_its_greatest_age_however_used(clock: ManualClock) -> None:
    now = clock.now()
    session = Session(idle_expires_at=now + timedelta(days=30), expires_at=now)
    assert not is_active(session, now)


@pytest.mark.parametrize("revoked", [False, True])
@pytest.mark.parametrize("idle", [-1, 0, 1])
@pytest.mark.parametrize("absolute", [-1, 0, 1])
async def test_sql_and_python_agree_on_active_sessions(
    auth: Auth, clock: ManualClock, *, revoked: bool, idle: int, absolute: int
) -> None:
    session, now = await begin(auth), clock.now()
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


async def test_a_revoked_session_has_ended(auth: Auth, clock: ManualClock) -> None:
    session = await begin(auth)
    async with auth.db.begin() as tx:
        assert await revoke_session(tx, session.id, REASON, clock.now()) == 1
    assert not is_active(await reload(auth, session), clock.now())


async def test_a_session_ends_once_and_for_its_first_reason(auth: Auth, clock: ManualClock) -> None:
    session, ended_at = await begin(auth), clock.now()
    async with auth.db.begin() as tx:
        await revoke_session(tx, session.id, REASON, ended_at)
    clock.tick(hours=1)
    async with auth.db.begin() as tx:
        later = RevocationReason.USER_DISABLED
        assert await revoke_session(tx, session.id, later, clock.now()) == 0
        assert await revoke_sessions_of(tx, session.user_id, later, clock.now()) == 0
    row = await reload(auth, session)
    assert (row.revoked_at, row.revocation_reason) == (ended_at, REASON)


async def test_ending_all_of_a_users_sessions_ends_nobody_elses(
    auth: Auth, clock: ManualClock
) -> None:
    first, second, of_bob = await begin(auth), await begin(auth), await begin(auth, BOB)
    async with auth.db.begin() as tx:
        assert await revoke_sessions_of(tx, first.user_id, REASON, clock.now()) == 2
    ended = [(await reload(auth, s)).revoked_at for s in (first, second, of_bob)]
    assert ended == [clock.now(), clock.now(), None]


async def test_a_session_that_is_not_there_is_not_ended(auth: Auth, clock: ManualClock) -> None:
    async with auth.db.begin() as tx:
        assert await revoke_session(tx, uuid7(), REASON, clock.now()) == 0


async def test_unused_is_never_longer_than_at_all(auth: Auth, clock: ManualClock) -> None:
    policy = SessionPolicy(idle_lifetime=timedelta(days=30), max_age=timedelta(days=1))
    user_id = (await begin(auth)).user_id
    async with auth.db.begin() as tx:
        connection = await tx.connection()
        session = await start_session(connection, policy, user_id, Client(), clock.now())
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
async def test_of_what_a_client_says_of_itself_the_printable_is_kept(
    auth: Auth, sent: str | None, kept: str | None
) -> None:
    session = await begin(auth, client=Client(address="192.0.2.7", user_agent=sent))
    assert (session.client_address, session.user_agent) == ("192.0.2.7", kept)
