"""Several server processes on one database, and clients that use them without a pause."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path

import httpx2

from tests.accounts import ALICE, Account
from tests.api import Client
from tests.processes import Process, forked_server
from tests.sessions import Device

SECRET = "a secret of the tests that is long enough"
ME = "{ me { id } }"


@contextmanager
def cluster(
    folder: Path, database_url: str, *, processes: int = 2, **settings: str
) -> Iterator[list[Process]]:
    """Starts server processes with the same database, secret and public URL."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(one_of_cluster(folder, database_url, **settings))
            for _ in range(processes)
        ]


@contextmanager
def one_of_cluster(folder: Path, database_url: str, **settings: str) -> Iterator[Process]:
    """Starts one more process."""
    with forked_server(
        folder,
        {
            "POSTERN_ENVIRONMENT": "development",
            "POSTERN_DATABASE_URL": database_url,
            "POSTERN_PUBLIC_URL": "http://localhost",
            "POSTERN_SECRET_KEY": SECRET,
            "POSTERN_BCRYPT_COST": "4",
            **settings,
        },
    ) as process:
        yield process


@asynccontextmanager
async def clients(processes: list[Process]) -> AsyncIterator[list[Client]]:
    """Opens a client of each process."""
    https = [httpx2.AsyncClient(base_url=p.base_url, timeout=30) for p in processes]
    try:
        yield [Client(http) for http in https]
    finally:
        for http in https:
            await http.aclose()


async def signed_in(client: Client, account: Account = ALICE) -> Device:
    """Returns a signed-in device of the account."""
    return await Device(client).log_in(account)


async def outcome(client: Client, token: str) -> str:
    """Returns the result of `me`: `ok`, a status, or the reason of the refusal."""
    try:
        reply = await client.post(ME, token=token)
    except httpx2.TransportError:
        return "no connection"
    if reply.status_code != 200:
        return str(reply.status_code)
    result = reply.json()
    if result["data"]["me"]:
        return "ok"
    extensions = result["errors"][0]["extensions"]
    return str(extensions.get("reason", extensions["code"]))


class Load:
    """Clients that repeatedly query `me` and refresh their tokens, with counts of the results."""

    def __init__(self, devices: list[Device], *, pause: float = 0.01) -> None:
        self.devices = devices
        self.outcomes: Counter[str] = Counter()
        self._pause = pause

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Load"]:
        """Runs the clients during the block."""
        tasks = [asyncio.create_task(self._use(device)) for device in self.devices]
        try:
            yield self
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            # Raises the exception of a client that has lost its session.
            for task in tasks:
                with suppress(asyncio.CancelledError):
                    task.result()

    async def _use(self, device: Device) -> None:
        for round_ in range(1_000_000):
            self.outcomes[await outcome(device.api, device.access_token)] += 1
            if round_ % 5 == 4:
                self.outcomes[await try_to_refresh(device)] += 1
            await asyncio.sleep(self._pause)


async def try_to_refresh(device: Device) -> str:
    """Refreshes the tokens. Returns the result of a failure that the client may retry."""
    try:
        reply = await device.request_refresh()
    except httpx2.TransportError:
        return "no connection"
    if reply.status_code != 200:
        return str(reply.status_code)
    payload = reply.json()["data"]["refreshTokens"]
    if payload["errors"]:
        return str(payload["errors"][0]["code"])
    device.keep(payload["tokens"])
    return "refreshed"


async def until(condition: Callable[[], bool], *, within_seconds: float) -> None:
    """Waits until the condition is true."""
    async with asyncio.timeout(within_seconds):
        while not condition():  # noqa: ASYNC110 - it is about other processes
            await asyncio.sleep(0.05)
