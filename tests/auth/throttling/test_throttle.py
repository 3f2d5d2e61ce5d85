"""Throttling of sign-ins, passwords and registrations."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select, text

from auth.audit import Action
from auth.clients import Client
from auth.errors import RateLimited, WrongPassword
from auth.login import log_in
from auth.reauthentication import verify_current_password
from auth.throttling.budgets import NAME, Budget, Limit
from auth.viewers import get_viewer
from models.audit_event import AuditEvent
from models.throttle_row import ThrottleRow
from server.settings import Settings, Switch
from tests.accounts import ALICE, BOB
from tests.api import Api, codes, serving
from tests.clock import ManualClock
from tests.conftest import make_settings
from tests.databases import wait_for_lock
from tests.sessions import Device


@asynccontextmanager
async def from_address(api: Api, address: str) -> AsyncIterator[None]:
    """Sends requests from another client address."""
    transport: Any = api.http._transport
    before, transport.client = transport.client, (address, 50000)
    yield
    transport.client = before


async def guess(api: Api, username: str = "alice", password: str = "no") -> Any:
    """Tries to sign in. Returns the error, or None."""
    payload = await api.try_login(username, password)
    return payload["errors"][0] if payload["errors"] else None


async def guesses(api: Api, count: int, username: str = "alice") -> list[str]:
    return [(await guess(api, username))["code"] for _ in range(count)]


OTHER_NETWORK = "198.51.100.9"


async def test_login_after_ten_failures_is_delayed(api: Api) -> None:
    assert set(await guesses(api, 10)) == {"INVALID_CREDENTIALS"}
    error = await guess(api)
    assert (error["code"], error["retryAfter"]) == ("RATE_LIMITED", 1)


async def test_login_delay_doubles_with_each_failure(sqlite_api: Api, clock: ManualClock) -> None:
    await guesses(sqlite_api, 10)
    delays = []
    for _ in range(14):
        delays.append((await guess(sqlite_api))["retryAfter"])
        clock.tick(seconds=delays[-1])
        assert (await guess(sqlite_api))["code"] == "INVALID_CREDENTIALS"
    assert delays[:7] == [1, 2, 4, 8, 16, 32, 63]
    # Failures decay during the delays. At one guess in 25 minutes, both are in balance.
    assert 20 * 60 < max(delays) < 30 * 60


async def test_login_during_delay_rejects_correct_password(api: Api, clock: ManualClock) -> None:
    await guesses(api, 10)
    assert (await guess(api, password=ALICE.password))["code"] == "RATE_LIMITED"
    clock.tick(seconds=1)
    assert await guess(api, password=ALICE.password) is None


async def test_login_success_resets_failures_of_name_in_network(api: Api) -> None:
    await guesses(api, 9)
    assert await guess(api, password=ALICE.password) is None
    assert set(await guesses(api, 10)) == {"INVALID_CREDENTIALS"}


async def test_login_success_keeps_failures_of_name_in_other_network(api: Api) -> None:
    async with from_address(api, OTHER_NETWORK):
        await guesses(api, 10)
    assert await guess(api, password=ALICE.password) is None
    async with from_address(api, OTHER_NETWORK):
        assert (await guess(api))["code"] == "RATE_LIMITED"


async def test_login_success_keeps_failures_of_name_in_all_networks(
    sqlite_api: Api,
) -> None:
    for number in range(19):
        async with from_address(sqlite_api, f"198.51.100.{number}"):
            await guess(sqlite_api)
    assert await guess(sqlite_api, password=ALICE.password) is None
    codes = []
    for number in range(100, 102):
        async with from_address(sqlite_api, f"198.51.100.{number}"):
            codes.append((await guess(sqlite_api))["code"])
    assert codes == ["INVALID_CREDENTIALS", "RATE_LIMITED"]


async def test_failures_decay_within_a_day(api: Api, clock: ManualClock) -> None:
    await guesses(api, 10)
    clock.tick(days=1, seconds=1)
    assert set(await guesses(api, 10)) == {"INVALID_CREDENTIALS"}


async def test_failures_decay_with_their_own_age(sqlite_api: Api, clock: ManualClock) -> None:
    """A success after them does not refresh old failures."""
    for number in range(99):
        assert (await guess(sqlite_api, f"typo{number}"))["code"] == "INVALID_CREDENTIALS"
    for _ in range(60):
        clock.tick(hours=4)
        assert await guess(sqlite_api, "bob", BOB.password) is None
    assert (await guess(sqlite_api, "another typo"))["code"] == "INVALID_CREDENTIALS"
    assert await guess(sqlite_api, "bob", BOB.password) is None


async def test_concurrent_correct_passwords_past_limit_are_delayed_briefly(
    api: Api, clock: ManualClock
) -> None:
    for number in range(100):
        await guess(api, f"typo{number}")
    clock.tick(seconds=1)
    errors = await asyncio.gather(*(guess(api, "bob", BOB.password) for _ in range(5)))
    assert [error["retryAfter"] for error in errors if error] == [1] * (5 - errors.count(None))
    assert None in errors


@pytest.mark.parametrize(
    "username", ["unknown", "ALICE", "alice@example.com", "a" * 5000, "\ud800"]
)
async def test_unknown_and_unusual_names_are_throttled(api: Api, username: str) -> None:
    escaped = username.encode("utf-8", "replace").decode()
    assert set(await guesses(api, 10, escaped)) == {"INVALID_CREDENTIALS"}
    assert (await guess(api, escaped))["code"] == "RATE_LIMITED"


async def test_username_and_email_are_counted_separately(api: Api) -> None:
    """Otherwise the throttle would reveal which address belongs to which username."""
    await guesses(api, 10, "alice")
    assert (await guess(api, "ALICE"))["code"] == "RATE_LIMITED"
    for address in ("alice@example.com", "other@example.com"):
        assert set(await guesses(api, 10, address)) == {"INVALID_CREDENTIALS"}
        assert (await guess(api, address))["code"] == "RATE_LIMITED"


async def test_other_accounts_are_not_throttled(api: Api) -> None:
    await guesses(api, 11)
    assert await guess(api, "bob", BOB.password) is None


async def test_existing_session_is_not_throttled(api: Api) -> None:
    device = await Device(api).log_in(ALICE)
    async with from_address(api, OTHER_NETWORK):
        await guesses(api, 11)
    await device.refresh()
    assert await device.is_signed_in()


async def test_name_is_limited_across_networks(sqlite_api: Api) -> None:
    outcomes = []
    for number in range(25):
        async with from_address(sqlite_api, f"198.51.100.{number}"):
            outcomes.append((await guess(sqlite_api))["code"])
    assert outcomes == ["INVALID_CREDENTIALS"] * 20 + ["RATE_LIMITED"] * 5


async def test_network_is_limited_across_names(sqlite_api: Api) -> None:
    for number in range(100):
        assert (await guess(sqlite_api, f"user{number}"))["code"] == "INVALID_CREDENTIALS"
    assert (await guess(sqlite_api, "another"))["code"] == "RATE_LIMITED"
    async with from_address(sqlite_api, OTHER_NETWORK):
        assert (await guess(sqlite_api, "another"))["code"] == "INVALID_CREDENTIALS"


async def test_login_success_keeps_failures_of_network(sqlite_api: Api) -> None:
    for number in range(99):
        await guess(sqlite_api, f"user{number}")
    assert await guess(sqlite_api, "bob", BOB.password) is None
    assert (await guess(sqlite_api, "another"))["code"] == "INVALID_CREDENTIALS"
    assert (await guess(sqlite_api, "another"))["code"] == "RATE_LIMITED"


async def test_ipv6_site_is_limited_across_networks(sqlite_api: Api) -> None:
    """A /48 has 65,536 networks of size /64."""
    outcomes = []
    for number in range(302):
        async with from_address(sqlite_api, f"2001:db8:7:{number:x}::1"):
            outcomes.append((await guess(sqlite_api, f"user{number}"))["code"])
    assert outcomes == ["INVALID_CREDENTIALS"] * 300 + ["RATE_LIMITED"] * 2
    async with from_address(sqlite_api, "2001:db8:8::1"):
        assert (await guess(sqlite_api, "another"))["code"] == "INVALID_CREDENTIALS"


async def test_unknown_devices_are_limited_together(
    sqlite_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    """Known devices are exempt from the limit."""
    settings = make_settings(sqlite_url, tmp_path).model_copy(
        update={"failed_logins_per_hour": 100}
    )
    async with serving(settings, clock) as api:
        here = Client("192.0.2.7")
        device = await log_in(api.auth, here, username="bob", password=BOB.password)
        outcomes = []
        for number in range(150):
            async with from_address(api, f"198.51.100.{number}"):
                outcomes.append((await guess(api, f"user{number}"))["code"])
        assert outcomes == ["INVALID_CREDENTIALS"] * 145 + ["RATE_LIMITED"] * 5
        error = await guess(api, "bob", BOB.password)
        assert (error["code"], error["retryAfter"]) == ("RATE_LIMITED", 2)
        proofs = [device.device_proof or ""]
        await log_in(api.auth, here, username="bob", password=BOB.password, proofs=proofs)


async def test_concurrent_attempts_are_all_counted(api: Api) -> None:
    errors = await asyncio.gather(*(guess(api) for _ in range(60)))
    outcomes = [error["code"] for error in errors]
    assert outcomes.count("INVALID_CREDENTIALS") <= 10
    assert set(outcomes) == {"INVALID_CREDENTIALS", "RATE_LIMITED"}


async def test_attempt_of_dead_process_stops_counting(api: Api, clock: ManualClock) -> None:
    throttle, limit = api.auth.throttle, Limit("one", 1, timedelta(hours=1), timedelta(hours=1))
    await throttle.start(Budget(limit, "x"))
    with pytest.raises(RateLimited) as refused:
        await throttle.start(Budget(limit, "x"))
    assert refused.value.retry_after == timedelta(seconds=1)
    clock.tick(seconds=31)
    await throttle.start(Budget(limit, "x"))


HERE = Client("192.0.2.7")


async def test_full_hash_queue_resets_no_failures(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    await guesses(api, 9)
    with full_queue(api, monkeypatch):
        assert (await guess(api))["code"] == "RATE_LIMITED"
    assert (await guess(api))["code"] == "INVALID_CREDENTIALS"
    assert (await guess(api))["code"] == "RATE_LIMITED"


async def test_full_hash_queue_is_not_a_failed_login(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    with full_queue(api, monkeypatch):
        for _ in range(15):
            assert (await guess(api))["code"] == "RATE_LIMITED"
    assert set(await guesses(api, 10)) == {"INVALID_CREDENTIALS"}


async def test_full_hash_queue_is_not_a_wrong_current_password(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = await get_viewer(api.auth, HERE, await api.log_in(ALICE))
    action = Action.PASSWORD_CHANGED
    with full_queue(api, monkeypatch):
        for _ in range(15):
            with pytest.raises(RateLimited):
                await verify_current_password(api.auth, viewer, "no", action)
    for _ in range(10):
        with pytest.raises(WrongPassword):
            await verify_current_password(api.auth, viewer, "no", action)
    async with api.auth.db.read() as session:
        query = select(func.count()).where(AuditEvent.action == action.value)
        assert await session.scalar(query) == 10


async def test_full_hash_queue_is_not_a_registration(
    sqlite_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    with full_queue(sqlite_api, monkeypatch):
        for number in range(101):
            assert await register(sqlite_api, number) == ["RATE_LIMITED"]
    assert await register(sqlite_api, 0) == []


@contextmanager
def full_queue(api: Api, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Makes the hash queue full, after the attempt was counted."""

    async def run(*_: object, **__: object) -> None:
        raise RateLimited(timedelta(seconds=5))

    with monkeypatch.context() as patch:
        patch.setattr(api.auth.passwords, "hash", run)
        patch.setattr(api.auth.passwords, "verify", run)
        yield


async def test_graphql_and_token_endpoint_count_together(api: Api) -> None:
    await guesses(api, 5)
    form = {"username": "alice", "password": "no"}
    for _ in range(5):
        assert (await api.http.post("/token", data=form)).status_code == 400
    assert (await guess(api))["code"] == "RATE_LIMITED"
    reply = await api.http.post("/token", data=form)
    assert (reply.status_code, reply.headers["Retry-After"]) == (429, "1")


async def test_failures_are_shared_between_processes(
    api: Api, tmp_path: Path, clock: ManualClock
) -> None:
    await guesses(api, 10)
    url = api.auth.db.engine.url.render_as_string(hide_password=False)
    async with serving(make_settings(url, tmp_path), clock) as again:
        assert (await guess(again))["code"] == "RATE_LIMITED"


async def test_login_fails_without_throttle_table(api: Api) -> None:
    async with api.auth.db.begin() as tx:
        await tx.execute(text("DROP TABLE attempts"))
    query = 'mutation { login(input: {username: "alice", password: "x"}) { tokens { tokenType } } }'
    result = await api.ask(query)
    assert result["data"] is None
    assert result["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"


async def test_current_password_is_throttled_per_session(api: Api) -> None:
    device = await Device(api).log_in(ALICE)
    for _ in range(10):
        payload = await device.change_password("no", "a perfectly good one")
        assert codes(payload) == ["WRONG_PASSWORD"]
    payload = await device.change_password(ALICE.password, "a perfectly good one")
    assert codes(payload) == ["RATE_LIMITED"]
    # Sign-ins of the owner are counted separately.
    assert await guess(api, password=ALICE.password) is None


async def test_registrations_are_limited_per_network(sqlite_api: Api) -> None:
    object.__setattr__(sqlite_api.auth, "sends_email", False)
    outcomes = [await register(sqlite_api, number) for number in range(101)]
    assert outcomes == [[]] * 100 + [["RATE_LIMITED"]]
    async with from_address(sqlite_api, OTHER_NETWORK):
        assert await register(sqlite_api, 101) == []


async def test_registrations_count_in_email_budget_of_network(sqlite_api: Api) -> None:
    outcomes = [await register(sqlite_api, number) for number in range(31)]
    assert outcomes == [[]] * 30 + [["RATE_LIMITED"]]


async def register(api: Api, number: int) -> list[str]:
    """Registers a user. Returns the error codes."""
    register = """mutation($name: String!, $email: String!) { register(input: {username: $name,
        email: $email, password: "of course a good one"}) { errors { code } } }"""
    variables = {"name": f"user{number}", "email": f"user{number}@example.com"}
    return codes((await api.data(register, variables))["register"])


async def test_clock_set_back_removes_delay(api: Api, clock: ManualClock) -> None:
    await guesses(api, 10)
    clock.tick(days=-3)
    assert (await guess(api))["code"] == "INVALID_CREDENTIALS"


async def test_table_contains_no_names_and_no_addresses(api: Api) -> None:
    await guesses(api, 3)
    async with api.auth.db.read() as session:
        rows = str((await session.execute(text("SELECT * FROM attempts"))).all())
    assert "alice" not in rows
    assert "192.0.2" not in rows


async def test_expired_rows_are_deleted(api: Api, clock: ManualClock) -> None:
    await guesses(api, 3)
    clock.tick(days=4)
    await api.auth.throttle.delete_expired()
    async with api.auth.db.read() as session:
        assert await session.scalar(text("SELECT count(*) FROM attempts")) == 0


async def test_cleanup_does_not_deadlock_with_attempts(api: Api, clock: ManualClock) -> None:
    throttle = api.auth.throttle
    hour = timedelta(hours=1)
    limits = [Limit(name, 1000, hour, hour) for name in ("one", "other")]

    async def attempt(number: int) -> None:
        budgets = [Budget(limit, str(number * 7 % 5)) for limit in limits]
        started = await throttle.start(*budgets)
        async with api.auth.db.begin() as tx:
            await throttle.fail(tx, started)

    for _ in range(10):
        acts = [throttle.delete_expired() if n % 4 == 0 else attempt(n) for n in range(24)]
        await asyncio.gather(*acts)
        clock.tick(days=2)


async def test_reset_locks_rows_in_order_of_attempts(
    postgresql_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    """A DELETE alone locks in the order of the table and could deadlock with an attempt."""
    async with serving(make_settings(postgresql_url, tmp_path), clock) as api:
        throttle, db = api.auth.throttle, api.auth.db
        smaller, larger = await in_order_of_keys(api, Budget(NAME, "one"), Budget(NAME, "other"))

        async def reset() -> None:
            async with db.begin() as tx:
                await throttle.reset(tx, smaller, larger)

        await reset()
        await throttle.consume(larger)
        await throttle.consume(smaller)
        async with db.begin() as tx:
            await throttle.consume_in(tx, smaller)
            resetting = asyncio.create_task(reset())
            await wait_for_lock(db, resetting)
            await throttle.consume_in(tx, larger)
        await resetting


async def in_order_of_keys(api: Api, one: Budget, other: Budget) -> tuple[Budget, Budget]:
    """Sorts two budgets by the keys of their rows, which are HMACs."""
    keys = select(ThrottleRow.key)
    await api.auth.throttle.consume(one)
    async with api.auth.db.read() as session:
        first = (await session.scalars(keys)).one()
    await api.auth.throttle.consume(other)
    async with api.auth.db.read() as session:
        smallest = (await session.scalars(keys.order_by(ThrottleRow.key))).first()
    return (one, other) if smallest == first else (other, one)


SECRETS = ("the first secret, long enough to be one", "the second secret, as long as the first")


def with_secrets(settings: Settings, *secrets: str) -> Settings:
    return settings.model_copy(update={"secret_key": SecretStr(",".join(secrets))})


async def test_failures_are_counted_during_secret_rotation(
    database_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    settings, (old, new) = make_settings(database_url, tmp_path), SECRETS
    async with (
        serving(with_secrets(settings, old, new), clock) as before,
        serving(with_secrets(settings, new, old), clock) as after,
    ):
        for server in (after, before, after, before, after):
            assert set(await guesses(server, 2)) == {"INVALID_CREDENTIALS"}
        assert (await guess(before))["code"] == "RATE_LIMITED"
        assert (await guess(after))["code"] == "RATE_LIMITED"
        await after.auth.keys.renew_encryption()
    async with serving(with_secrets(settings, new), clock) as later:
        clock.tick(seconds=1)
        assert (await guess(later))["code"] == "INVALID_CREDENTIALS"
        assert (await guess(later))["retryAfter"] == 2


async def test_throttle_can_be_turned_off(
    sqlite_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    off = make_settings(sqlite_url, tmp_path).model_copy(update={"throttle": Switch.OFF})
    async with serving(off, clock) as api:
        assert set(await guesses(api, 15)) == {"INVALID_CREDENTIALS"}


FORWARDED = {"X-Forwarded-For": "203.0.113.5, 198.51.100.1"}
LOGIN = 'mutation { login(input: {username: "alice", password: "no"}) { errors { code } } }'


async def test_forwarded_address_is_used_from_trusted_proxies_only(
    sqlite_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    settings = make_settings(sqlite_url, tmp_path)
    proxied = settings.model_copy(update={"trusted_proxies": ("192.0.2.0/24", "198.51.100.1")})
    for server, seen in ((settings, "192.0.2.7"), (proxied, "203.0.113.5")):
        async with serving(server, clock) as api:
            await api.post(LOGIN, headers=FORWARDED)
            async with api.auth.db.read() as session:
                query = "SELECT client_address FROM audit_events ORDER BY id DESC LIMIT 1"
                assert await session.scalar(text(query)) == seen
