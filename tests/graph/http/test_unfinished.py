"""Operations over the time limit: queries are cancelled, mutations run to their end."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path

import pytest
import strawberry
from sqlalchemy import func, select
from sqlalchemy.engine import make_url

from graph.http import unfinished
from graph.permissions import Public
from models.session import Session
from models.waits import pause
from server.settings import Settings
from tests.accounts import ALICE
from tests.api import LOGIN, Api, denials, logged_outages, serving
from tests.clock import ManualClock
from tests.conftest import make_settings
from tests.databases import wait_until

LOG_ALICE_IN = {"input": {"username": ALICE.username, "password": ALICE.password}}


class Gate:
    """An event that the resolvers below wait for, and their counts."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.waiting = 0
        self.passed = 0
        self.cancelled = 0

    async def pass_through(self) -> bool:
        self.waiting += 1
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        self.passed += 1
        return True


gate = Gate()


@pytest.fixture(autouse=True)
async def closed_gate() -> AsyncIterator[None]:
    gate.__init__()  # type: ignore[misc] # an event belongs to the loop of one test
    yield
    gate.open.set()


@strawberry.type
class SlowQuery:
    @strawberry.field(permission_classes=[Public])
    async def waits(self) -> bool:
        return await gate.pass_through()


@strawberry.type
class SlowMutation:
    @strawberry.mutation(permission_classes=[Public])
    async def wait(self) -> bool:
        return await gate.pass_through()

    @strawberry.mutation(permission_classes=[Public])
    async def be_refused(self) -> bool:
        gate.waiting += 1
        await pause(3600)
        gate.passed += 1
        return False


def with_time_limit(settings: Settings, seconds: float = 0.2) -> Settings:
    return settings.model_copy(update={"max_operation_seconds": seconds})


@asynccontextmanager
async def serving_slow(url: str, folder: Path, seconds: float = 0.2) -> AsyncIterator[Api]:
    settings = with_time_limit(make_settings(url, folder), seconds)
    async with serving(
        settings, ManualClock(), queries=[SlowQuery], mutations=[SlowMutation]
    ) as api:
        yield api


async def test_query_over_time_limit_is_cancelled(sqlite_url: str, tmp_path: Path) -> None:
    async with serving_slow(sqlite_url, tmp_path) as api:
        reply = await api.post("{ waits }")
        await wait_until(lambda: gate.cancelled == 1)
    assert denials(reply.json())[0]["code"] == "LIMIT_EXCEEDED"


async def test_mutation_over_time_limit_runs_to_its_end(sqlite_url: str, tmp_path: Path) -> None:
    async with serving_slow(sqlite_url, tmp_path) as api:
        reply = await api.post("mutation { wait }")
        assert (reply.status_code, denials(reply.json())[0]["code"]) == (503, "LIMIT_EXCEEDED")
        gate.open.set()
        await wait_until(lambda: gate.passed == 1)
    assert gate.cancelled == 0


async def test_mutation_whose_request_is_cancelled_runs_to_its_end(
    sqlite_url: str, tmp_path: Path
) -> None:
    async with serving_slow(sqlite_url, tmp_path, seconds=60) as api:
        asking = asyncio.create_task(api.post("mutation { wait }"))
        await wait_until(lambda: gate.waiting == 1)
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking
        gate.open.set()
        await wait_until(lambda: gate.passed == 1)


async def test_delay_before_refusal_ends_with_the_request(sqlite_url: str, tmp_path: Path) -> None:
    """Otherwise refusals of disconnected clients could reach the limit of unfinished operations."""
    async with serving_slow(sqlite_url, tmp_path, seconds=60) as api:
        asking = asyncio.create_task(api.post("mutation { beRefused }"))
        await wait_until(lambda: gate.waiting == 1)
        asking.cancel()
        await wait_until(lambda: gate.passed == 1)


async def test_shutdown_waits_for_unfinished_mutations(sqlite_url: str, tmp_path: Path) -> None:
    async with serving_slow(sqlite_url, tmp_path) as api:
        await api.post("mutation { wait }")
        asyncio.get_running_loop().call_later(0.2, gate.open.set)
    assert gate.passed == 1


async def test_shutdown_cancels_mutation_that_hangs(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unfinished, "STOP_SECONDS", 0.1)
    async with serving_slow(sqlite_url, tmp_path) as api:
        await api.post("mutation { wait }")
    assert gate.cancelled == 1


async def test_mutation_that_hangs_is_cancelled(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unfinished, "MAX_MUTATION_SECONDS", 0.1)
    async with serving_slow(sqlite_url, tmp_path) as api:
        await api.post("mutation { wait }")
        await wait_until(lambda: gate.cancelled == 1)


async def test_mutation_is_refused_while_too_many_are_unfinished(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unfinished, "MAX_UNFINISHED", 2)
    async with serving_slow(sqlite_url, tmp_path) as api:
        for _ in range(2):
            await api.post("mutation { wait }")
        refused = await api.post("mutation { wait }")
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
        assert denials(refused.json())[0]["code"] == "SERVICE_UNAVAILABLE"
        assert (await api.post("{ __typename }")).status_code == 200
        gate.open.set()
        await wait_until(lambda: gate.passed == 2)
        assert (await api.post("mutation { wait }")).status_code == 200


async def test_query_that_no_longer_waits_for_database_is_not_unavailable(
    sqlite_url: str, tmp_path: Path
) -> None:
    @strawberry.type
    class Query:
        @strawberry.field(permission_classes=[Public])
        async def reads(self, info: strawberry.Info) -> bool:
            async with info.context.auth.db.read():
                pass
            return await gate.pass_through()

    settings = with_time_limit(make_settings(sqlite_url, tmp_path))
    async with serving(settings, ManualClock(), queries=[Query]) as api:
        reply = await api.post("{ reads }")
    assert denials(reply.json())[0]["code"] == "LIMIT_EXCEEDED"


@contextmanager
def locked_file(url: str) -> Iterator[None]:
    """Holds the write lock of the file, like another process."""
    path = str(make_url(url).database)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def count_sessions(api: Api) -> int:
    async with api.auth.db.read() as session:
        return await session.scalar(select(func.count()).select_from(Session)) or 0


async def test_login_that_waits_for_database_is_unavailable_and_completes(
    sqlite_url: str, tmp_path: Path
) -> None:
    async with serving_slow(sqlite_url, tmp_path) as api:
        with locked_file(sqlite_url), logged_outages() as causes:
            reply = await api.post(LOGIN, LOG_ALICE_IN)
        assert causes == ["OperationTimeout"]
        assert (reply.status_code, reply.headers["Retry-After"]) == (503, "2")
        assert denials(reply.json())[0]["code"] == "SERVICE_UNAVAILABLE"
    # The server has waited for the unfinished mutation before it stopped.
    async with serving(make_settings(sqlite_url, tmp_path), ManualClock()) as api:
        assert await count_sessions(api) == 1


async def test_query_that_waits_for_database_is_unavailable(
    sqlite_url: str, tmp_path: Path
) -> None:
    @strawberry.type
    class Query:
        @strawberry.field(permission_classes=[Public])
        async def reads(self, info: strawberry.Info) -> bool:
            async with info.context.auth.db.read():
                return await gate.pass_through()

    settings = with_time_limit(make_settings(sqlite_url, tmp_path))
    async with serving(settings, ManualClock(), queries=[Query]) as api:
        reply = await api.post("{ reads }")
    assert (reply.status_code, reply.headers["Retry-After"]) == (503, "2")
    assert denials(reply.json())[0]["code"] == "SERVICE_UNAVAILABLE"
