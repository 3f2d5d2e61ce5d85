"""Time from a revocation on one process to the first rejection by another process.

python -m benchmarks.revocation
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
from sqlalchemy import text

from models.database import Database
from tests.accounts import ALICE
from tests.databases import PostgresqlTemplates, SqliteTemplates, postgresql_folder
from tests.processes import Process, running_server

TRIES = 200

LOGIN = "mutation($input: LoginInput!) { login(input: $input) { tokens { accessToken } } }"
LOGOUT = "mutation { logout { errors { code } } }"

Revoke = Callable[[httpx2.AsyncClient, str], Awaitable[object]]


class Pair:
    """Two processes on one database, both with the token of each try cached."""

    def __init__(self, here: Process, there: Process) -> None:
        self.here = httpx2.AsyncClient(base_url=here.base_url)
        self.there = httpx2.AsyncClient(base_url=there.base_url)

    async def try_once(self, revoke: Revoke) -> float:
        """Returns the seconds from the end of the revocation to the end of the first rejection."""
        variables = {"input": {"username": ALICE.username, "password": ALICE.password}}
        reply = (await ask(self.here, LOGIN, variables=variables))["data"]["login"]
        token = reply["tokens"]["accessToken"]
        for client in (self.here, self.there, self.there):
            assert await is_signed_in(client, token)
        await revoke(self.here, token)
        started = time.perf_counter()
        while await is_signed_in(self.there, token):
            pass
        return time.perf_counter() - started


async def ask(client: httpx2.AsyncClient, query: str, token: str = "", **body: object) -> dict:  # type: ignore[type-arg]
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    reply = await client.post("/graphql", json={"query": query, **body}, headers=headers)
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


async def is_signed_in(client: httpx2.AsyncClient, token: str) -> bool:
    return bool((await ask(client, "{ me { id } }", token))["data"]["me"])


async def log_out(client: httpx2.AsyncClient, token: str) -> None:
    await ask(client, LOGOUT, token)


def by_hand(db: Database) -> Revoke:
    """Returns a revocation by an UPDATE, as typed into psql or sqlite3."""

    async def revoke(_client: httpx2.AsyncClient, _token: str) -> None:
        async with db.begin() as tx:
            await tx.execute(
                text("UPDATE users SET disabled_at = CURRENT_TIMESTAMP WHERE username = 'alice'")
            )

    return revoke


async def measure(name: str, pair: Pair, db: Database) -> None:
    for how, revoke in {"log out": log_out, "UPDATE users": by_hand(db)}.items():
        taken = []
        for _ in range(TRIES):
            taken.append(await pair.try_once(revoke))
            async with db.begin() as tx:
                await tx.execute(text("UPDATE users SET disabled_at = NULL"))
        p99 = statistics.quantiles(taken, n=100)[98]
        print(
            f"  {name:<11} {how:<13} median {statistics.median(taken) * 1000:6.1f} ms"
            f"   p99 {p99 * 1000:6.1f} ms   worst {max(taken) * 1000:6.1f} ms"
        )


@contextmanager
def two_servers(url: str, folder: Path) -> Iterator[Pair]:
    settings = {
        "POSTERN_ENVIRONMENT": "development",
        "POSTERN_DATABASE_URL": url,
        "POSTERN_BCRYPT_COST": "4",
        "POSTERN_PUBLIC_URL": "http://localhost",
        "POSTERN_SECRET_KEY": "a secret of the benchmark that is long enough",
    }
    with (
        running_server(folder, settings) as here,
        running_server(folder, settings) as there,
    ):
        yield Pair(here, there)


def main() -> None:
    print(f"Time until the other process rejects the token ({TRIES} tries each)")
    with tempfile.TemporaryDirectory() as name, postgresql_folder() as postgresql:
        folder = Path(name)
        urls = {
            "SQLite": SqliteTemplates(folder).new(folder),
            "PostgreSQL": PostgresqlTemplates(postgresql).new_uncached(),
        }
        for kind, url in urls.items():
            with two_servers(url, folder) as pair:
                asyncio.run(measure(kind, pair, Database.connect(url)))


if __name__ == "__main__":
    main()
