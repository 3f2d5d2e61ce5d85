"""The budget for preparing new documents."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from graph.documents.preparation_budget import MAX_NETWORKS, SHARE, PreparationBudget
from graph.statuses import RESPONSE_JSON
from tests.accounts import ALICE
from tests.api import BASE_URL, Api

ONE, OTHER = "192.0.2.1", "192.0.2.2"


@dataclass
class ManualTimer:
    """A timer that tests set."""

    seconds: float = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def timer() -> ManualTimer:
    return ManualTimer()


@pytest.fixture
def monotonic() -> ManualTimer:
    return ManualTimer()


@pytest.fixture
def budget(timer: ManualTimer, monotonic: ManualTimer) -> PreparationBudget:
    return PreparationBudget(2.0, timer=timer, clock=monotonic)


def spend(budget: PreparationBudget, timer: ManualTimer, network: str, seconds: float) -> None:
    with budget.charged_to(network):
        timer.seconds += seconds


def test_budget_is_exhausted_and_refills(
    budget: PreparationBudget, timer: ManualTimer, monotonic: ManualTimer
) -> None:
    spend(budget, timer, ONE, 1.9)
    assert budget.retry_after(ONE) == 0
    spend(budget, timer, ONE, 0.6)
    assert budget.retry_after(ONE) == 5
    assert budget.retry_after(OTHER) == 0
    monotonic.seconds += 4.5
    assert budget.retry_after(ONE) == 1
    monotonic.seconds += 1.5
    assert budget.retry_after(ONE) == 0


def test_budget_is_charged_for_a_preparation_that_fails(
    budget: PreparationBudget, timer: ManualTimer
) -> None:
    def fail() -> None:
        with budget.charged_to(ONE):
            timer.seconds += 3
            raise ValueError

    with pytest.raises(ValueError):
        fail()
    assert budget.retry_after(ONE) == int(1 / SHARE)


def test_budget_survives_a_clock_that_is_set_back(
    budget: PreparationBudget, timer: ManualTimer, monotonic: ManualTimer
) -> None:
    spend(budget, timer, ONE, 2.5)
    monotonic.seconds -= 50
    assert budget.retry_after(ONE) == 5


def test_budget_holds_a_bounded_number_of_networks(
    budget: PreparationBudget, timer: ManualTimer
) -> None:
    for number in range(MAX_NETWORKS + 10):
        spend(budget, timer, str(number), 3)
    assert budget.retry_after("0") == 0
    assert budget.retry_after(str(MAX_NETWORKS)) > 0


@asynccontextmanager
async def at(api: Api, address: str) -> AsyncGenerator[Api, None]:
    """The same server, called from another address."""
    transport = httpx2.ASGITransport(app=api.app, client=(address, 50000))
    async with httpx2.AsyncClient(transport=transport, base_url=BASE_URL) as client:
        yield Api(client, api.app)


def budget_of(api: Api, name: str = "_budget") -> PreparationBudget:
    route: Any = next(r for r in api.app.routes if type(r).__name__ == "WebSocketRoute")
    budget: PreparationBudget = getattr(route.endpoint._operations, name)
    return budget


def exhaust(api: Api, network: str) -> None:
    """Uses up the budget of a network."""
    budget_of(api).charge(network, 100)


async def test_flood_of_documents_is_refused_for_its_network_alone(sqlite_api: Api) -> None:
    async with at(sqlite_api, ONE) as one, at(sqlite_api, OTHER) as other:
        assert "errors" not in await one.ask("{ __typename }")
        exhaust(sqlite_api, ONE)
        # Cached documents are free, no matter which network sent them first.
        await other.ask("{ a: __typename }")
        assert await one.ask("{ __typename }") == {"data": {"__typename": "Query"}}
        assert await one.ask("{ a: __typename }") == {"data": {"a": "Query"}}
        reply = await one.post("{ b: __typename }", headers={"accept": RESPONSE_JSON})
        assert reply.status_code == 429
        extensions = reply.json()["errors"][0]["extensions"]
        assert extensions["code"] == "RATE_LIMITED"
        assert reply.headers["retry-after"] == str(extensions["retryAfter"])
        assert await other.ask("{ b: __typename }") == {"data": {"b": "Query"}}
        assert await one.ask("{ b: __typename }") == {"data": {"b": "Query"}}


async def test_flood_from_many_networks_of_one_ipv6_site_is_refused(sqlite_api: Api) -> None:
    networks = ["2001:db8::1", "2001:db8:0:1::1"]
    site = budget_of(sqlite_api, "_site_budget")
    async with at(sqlite_api, networks[0]) as one, at(sqlite_api, networks[1]) as other:
        await one.ask("{ d: __typename }")
        assert site.spent_by("2001:db8::/48") > 0
        site.charge("2001:db8::/48", 100)
        reply = await other.post("{ e: __typename }", headers={"accept": RESPONSE_JSON})
        assert reply.status_code == 429
    async with at(sqlite_api, "2001:db8:1::1") as elsewhere:
        assert await elsewhere.ask("{ e: __typename }") == {"data": {"e": "Query"}}


async def test_flood_of_documents_over_a_socket_is_refused(sqlite_api: Api) -> None:
    token = await sqlite_api.log_in(ALICE)
    exhaust(sqlite_api, ONE)
    async with sqlite_api.accepted_socket(address=ONE) as socket:
        await socket.initialise(token)
        await socket.send(type="subscribe", id="1", payload={"query": "{ c: __typename }"})
        message = await socket.receive()
        assert message["payload"][0]["extensions"]["code"] == "RATE_LIMITED"


async def test_preparing_documents_is_charged_to_the_client(sqlite_api: Api) -> None:
    budget = budget_of(sqlite_api)
    async with at(sqlite_api, ONE) as one:
        for number in range(50):
            await one.ask(f"{{ a{number}: __typename }}")
            if budget.spent_by(ONE) > 0:
                break
        assert budget.spent_by(ONE) > 0
        assert budget.spent_by(OTHER) == 0
