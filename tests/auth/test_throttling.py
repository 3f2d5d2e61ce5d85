"""Throttling: guesses become slow, whoever guesses and at whomever; owners still get in."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from auth.throttling import ACCOUNT, NETWORK, Budget, Limit, network_of
from server.settings import Switch
from tests.api import Api, codes, serving
from tests.clock import ManualClock
from tests.conftest import make_settings
from tests.people import ALICE, BOB
from tests.sessions import Device


@asynccontextmanager
async def at(api: Api, address: str) -> AsyncIterator[None]:
    """Requests come from there."""
    transport: Any = api.http._transport
    before, transport.client = transport.client, (address, 50000)
    yield
    transport.client = before


async def guess(api: Api, username: str = "alice", password: str = "no") -> Any:
    """One error, or none."""
    payload = await api.try_login(username, password)
    return payload["errors"][0] if payload["errors"] else None


async def guesses(api: Api, count: int, username: str = "alice") -> list[str]:
    return [(await guess(api, username))["code"] for _ in range(count)]


ELSEWHERE = "198.51.100.9"


async def test_ten_failures_are_free_and_then_one_waits(api: Api) -> None:
    assert set(await guesses(api, 10)) == {"INVALID_CREDENTIALS"}
    error = await guess(api)
    assert (error["code"], error["retryAfter"]) == ("RATE_LIMITED", 1)


async def test_the_wait_doubles_with_each_failure_up_to_an_hour(
    sqlite_api: Api, clock: ManualClock
) -> None:
    await guesses(sqlite_api, 10)
    waits = []
    for _ in range(14):
        waits.append((await guess(sqlite_api))["retryAfter"])
        clock.tick(seconds=waits[-1])
        assert (await guess(sqlite_api))["code"] == "INVALID_CREDENTIALS"
    assert waits[:5] == [1, 2, 4, 8, 16]
    assert max(waits) == waits[-1] == 3600


async def test_the_right_password_waits_like_a_wrong_one(api: Api, clock: ManualClock) -> None:
    await guesses(api, 10)
    assert (await guess(api, password=ALICE.password))["code"] == "RATE_LIMITED"
    clock.tick(seconds=1)
    assert await guess(api, password=ALICE.password) is None


async def test_success_forgives_the_account(api: Api) -> None:
    await guesses(api, 9)
    assert await guess(api, password=ALICE.password) is None
    assert set(await guesses(api, 10)) == {"INVALID_CREDENTIALS"}


async def test_failures_are_forgotten_after_a_day(api: Api, clock: ManualClock) -> None:
    await guesses(api, 10)
    clock.tick(days=1, seconds=1)
    assert set(await guesses(api, 10)) == {"INVALID_CREDENTIALS"}


@pytest.mark.parametrize("username", ["nobody", "ALICE", "alice@example.com", "a" * 5000, "\ud800"])
async def test_every_name_is_throttled_alike(api: Api, username: str) -> None:
    escaped = username.encode("utf-8", "replace").decode()
    assert set(await guesses(api, 10, escaped)) == {"INVALID_CREDENTIALS"}
    assert (await guess(api, escaped))["code"] == "RATE_LIMITED"


async def test_the_address_and_the_name_of_an_account_are_one(api: Api) -> None:
    await guesses(api, 5, "alice")
    await guesses(api, 5, "Alice@Example.com")
    assert (await guess(api, "ALICE"))["code"] == "RATE_LIMITED"


async def test_other_accounts_are_not_concerned(api: Api) -> None:
    await guesses(api, 11)
    assert await guess(api, "bob", BOB.password) is None


async def test_a_session_that_goes_on_is_not_concerned(api: Api) -> None:
    device = await Device(api).log_in(ALICE)
    async with at(api, ELSEWHERE):
        await guesses(api, 11)
    await device.refresh()
    assert await device.is_signed_in()


async def test_nobody_keeps_an_owner_out_where_they_have_signed_in_before(api: Api) -> None:
    await Device(api).log_in(ALICE)
    async with at(api, ELSEWHERE):
        await guesses(api, 11)
        assert (await guess(api, password=ALICE.password))["code"] == "RATE_LIMITED"
    assert await guess(api, password=ALICE.password) is None
    # And what happens there is throttled for itself.
    assert set(await guesses(api, 10)) == {"INVALID_CREDENTIALS"}
    assert (await guess(api))["code"] == "RATE_LIMITED"


async def test_one_network_cannot_try_everybody(sqlite_api: Api) -> None:
    for number in range(100):
        assert (await guess(sqlite_api, f"user{number}"))["code"] == "INVALID_CREDENTIALS"
    assert (await guess(sqlite_api, "another"))["code"] == "RATE_LIMITED"
    async with at(sqlite_api, ELSEWHERE):
        assert (await guess(sqlite_api, "another"))["code"] == "INVALID_CREDENTIALS"


async def test_success_does_not_forgive_the_failures_of_a_network(sqlite_api: Api) -> None:
    for number in range(99):
        await guess(sqlite_api, f"user{number}")
    assert await guess(sqlite_api, "bob", BOB.password) is None
    assert (await guess(sqlite_api, "another"))["code"] == "INVALID_CREDENTIALS"
    assert (await guess(sqlite_api, "another"))["code"] == "RATE_LIMITED"


async def test_a_thousand_at_once_count_as_a_thousand(api: Api) -> None:
    errors = await asyncio.gather(*(guess(api) for _ in range(60)))
    outcomes = [error["code"] for error in errors]
    assert outcomes.count("INVALID_CREDENTIALS") <= 10
    assert set(outcomes) == {"INVALID_CREDENTIALS", "RATE_LIMITED"}


async def test_all_doors_count_together(api: Api) -> None:
    await guesses(api, 5)
    form = {"username": "alice", "password": "no"}
    for _ in range(5):
        assert (await api.http.post("/token", data=form)).status_code == 400
    assert (await guess(api))["code"] == "RATE_LIMITED"
    reply = await api.http.post("/token", data=form)
    assert (reply.status_code, reply.headers["Retry-After"]) == (429, "1")


async def test_all_processes_count_together_and_a_restart_forgets_nothing(
    api: Api, tmp_path: Path, clock: ManualClock
) -> None:
    await guesses(api, 10)
    url = api.auth.db.engine.url.render_as_string(hide_password=False)
    async with serving(make_settings(url, tmp_path), clock) as again:
        assert (await guess(again))["code"] == "RATE_LIMITED"


async def test_without_its_table_nobody_logs_in(api: Api) -> None:
    async with api.auth.db.begin() as tx:
        await tx.execute(text("DROP TABLE throttles"))
    query = 'mutation { login(input: {username: "alice", password: "x"}) { tokens { tokenType } } }'
    result = await api.ask(query)
    assert result["data"] is None
    assert result["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"


async def test_the_current_password_cannot_be_guessed_from_a_stolen_session(api: Api) -> None:
    device = await Device(api).log_in(ALICE)
    for _ in range(10):
        payload = await device.change_password("no", "a perfectly good one")
        assert codes(payload) == ["WRONG_PASSWORD"]
    payload = await device.change_password(ALICE.password, "a perfectly good one")
    assert codes(payload) == ["RATE_LIMITED"]
    # The owner elsewhere is not concerned.
    assert await guess(api, password=ALICE.password) is None


async def test_registrations_of_one_network_are_bounded(
    sqlite_api: Api, clock: ManualClock
) -> None:
    register = """mutation($name: String!, $email: String!) { register(input: {username: $name,
        email: $email, password: "of course a good one"}) { errors { code } } }"""
    outcomes = []
    for number in range(101):
        variables = {"name": f"user{number}", "email": f"user{number}@example.com"}
        outcomes.append(codes((await sqlite_api.data(register, variables))["register"]))
    assert outcomes[:100] == [[]] * 100
    assert outcomes[100] == ["RATE_LIMITED"]


async def test_a_clock_that_is_set_back_locks_nobody_out(api: Api, clock: ManualClock) -> None:
    await guesses(api, 10)
    clock.tick(days=-3)
    assert (await guess(api))["code"] == "INVALID_CREDENTIALS"


async def test_the_table_tells_neither_who_nor_where(api: Api) -> None:
    await guesses(api, 3)
    async with api.auth.db.read() as session:
        rows = str((await session.execute(text("SELECT * FROM throttles"))).all())
    assert "alice" not in rows
    assert "192.0.2" not in rows


async def test_what_is_forgotten_is_deleted(api: Api, clock: ManualClock) -> None:
    await guesses(api, 3)
    clock.tick(days=1, seconds=1)
    await api.auth.throttle.forget_the_old()
    async with api.auth.db.read() as session:
        assert await session.scalar(text("SELECT count(*) FROM throttles")) == 0


async def test_deleting_the_old_and_counting_the_new_do_not_wait_for_one_another(
    api: Api, clock: ManualClock
) -> None:
    throttle = api.auth.throttle
    limits = [
        Limit(name, free=1000, longest=timedelta(hours=1), forgotten_after=timedelta(days=1))
        for name in ("one", "other")
    ]

    async def attempt(number: int) -> None:
        await throttle.attempt(*(Budget(limit, str(number * 7 % 5)) for limit in limits))

    for _ in range(10):
        acts = [throttle.forget_the_old() if n % 4 == 0 else attempt(n) for n in range(24)]
        await asyncio.gather(*acts)
        clock.tick(days=2)


async def test_it_can_be_turned_off(sqlite_url: str, tmp_path: Path, clock: ManualClock) -> None:
    off = make_settings(sqlite_url, tmp_path).model_copy(update={"throttle": Switch.OFF})
    async with serving(off, clock) as api:
        assert set(await guesses(api, 15)) == {"INVALID_CREDENTIALS"}


# Addresses


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("not an address", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_a_network_is_what_one_customer_has(address: str | None, network: str) -> None:
    assert network_of(address) == network


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_all_addresses_of_a_slash_64_are_one_network(address: Any, host: int) -> None:
    sibling = type(address)((int(address) >> 64 << 64) | host)
    if not address.ipv4_mapped and not sibling.ipv4_mapped:
        assert network_of(str(address)) == network_of(str(sibling))


FORWARDED = {"X-Forwarded-For": "203.0.113.5, 198.51.100.1"}
LOGIN = 'mutation { login(input: {username: "alice", password: "no"}) { errors { code } } }'


async def test_a_forwarded_address_is_believed_from_a_trusted_proxy_only(
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


# The limit alone


@given(st.integers(0, 10_000))
def test_a_wait_is_never_negative_and_never_endless(failures: int) -> None:
    for limit in (ACCOUNT, NETWORK):
        assert timedelta() <= limit.wait_after(failures) <= limit.longest


def test_two_limits_of_one_name_are_two_budgets(sqlite_api: Api) -> None:
    other = Limit("other", 1, timedelta(hours=1), timedelta(hours=1))
    names = {
        sqlite_api.auth.throttle._name(budget)
        for budget in (Budget(ACCOUNT, "x"), Budget(other, "x"), Budget(ACCOUNT, "y"))
    }
    assert len(names) == 3


THOUSAND = [f"198.51.{number // 250}.{number % 250}" for number in range(1000)]


@pytest.mark.soak
async def test_ten_thousand_guesses_at_one_account_from_a_thousand_addresses(
    api: Api, clock: ManualClock
) -> None:
    """Two hours of guessing: as many are tried as the waits let through; the owner gets in."""
    await Device(api).log_in(ALICE)
    tried = 0
    for number in range(10_000):
        async with at(api, THOUSAND[number % 1000]):
            tried += (await guess(api))["code"] == "INVALID_CREDENTIALS"
        clock.tick(seconds=0.72)
    # Ten are free; the waits double from a second to an hour: 12 more fill 4095 seconds, then the
    # thirteenth the hour after.
    assert tried <= 10 + 14
    # At home, where alice has signed in before, nobody's guesses count but those made there.
    assert await Device(api).log_in(ALICE)
    # Elsewhere she waits for an hour at the longest, and resets her password meanwhile.
    clock.tick(hours=1)
    async with at(api, "203.0.113.99"):
        assert await Device(api).log_in(ALICE)


@pytest.mark.soak
async def test_ten_thousand_guesses_at_a_thousand_accounts_from_one_address(
    api: Api, clock: ManualClock
) -> None:
    """Two hours of spraying one password: a hundred are free, then one each quarter of an hour."""
    tried = 0
    async with at(api, ELSEWHERE):
        for number in range(10_000):
            refused = await guess(api, f"person{number % 1000}")
            tried += refused["code"] == "INVALID_CREDENTIALS"
            clock.tick(seconds=0.72)
    # The waits double from a second to a quarter of an hour: 10 more in 1023 seconds, then seven.
    assert tried <= 100 + 10 + 8
    # Everybody else, and everybody elsewhere, signs in as ever.
    assert await Device(api).log_in(ALICE)
    assert await Device(api).log_in(BOB)
