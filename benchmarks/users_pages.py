"""Times of pages of `users` over many accounts, compared with the first page.

python -m benchmarks.users_pages [accounts]
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from benchmarks.accounts import cursor_at, fill
from benchmarks.both_databases import on_both_databases
from benchmarks.measure import Work, medians, print_table
from server.settings import Environment, Settings
from tests.accounts import ADMIN
from tests.api import Api, serving
from tests.clock import ManualClock

FEW = 1_000
MANY = 100_000
ROUNDS = 41

QUERY = """
query Page($first: Int, $after: String, $last: Int, $before: String, $search: String,
           $role: String, $disabled: Boolean) {
  users(first: $first, after: $after, last: $last, before: $before, search: $search,
        role: $role, disabled: $disabled) {
    nodes { id username roles { name } }
    pageInfo { startCursor endCursor hasNextPage }
  }
}
"""


async def pages(api: Api, count: int) -> dict[str, Work]:
    """Returns the pages to compare, each with fifty accounts."""
    token = await api.log_in(ADMIN)
    middle = await cursor_at(api.auth.db, count // 2)
    near_the_end = await cursor_at(api.auth.db, 60)

    def page(**arguments: Any) -> Work:
        async def work() -> object:
            data = await api.data(QUERY, arguments, token=token)
            assert data["users"]["nodes"]
            return data

        return work

    return {
        "first page": page(first=50),
        "middle page": page(first=50, after=middle),
        "last page, from the front": page(first=50, after=near_the_end),
        "last page, from the back": page(last=50),
        "middle page, backwards": page(last=50, before=middle),
        "role user, middle": page(first=50, role="user", after=middle),
        "role auditor (1 %)": page(first=50, role="auditor"),
        "disabled (2 %)": page(first=50, disabled=True),
        "search, one match": page(first=50, search="000000-"),
        "search, a hundred matches": page(first=50, search="0001"),
    }


@asynccontextmanager
async def filled(url: str, folder: Path, count: int) -> AsyncIterator[Api]:
    """Starts a server on a database with this number of accounts."""
    settings = Settings(
        environment=Environment.DEVELOPMENT,
        database_url=SecretStr(url),
        data_dir=folder,
        bcrypt_cost=4,
    )
    async with serving(settings, ManualClock()) as api:
        await fill(api.auth.db, count)
        yield api


async def compare(kind: str, few: str, many: str, folder: Path, count: int) -> None:
    async with filled(few, folder, FEW) as small, filled(many, folder, count) as large:
        found = await medians(await pages(large, count), rounds=ROUNDS)
        print_table(f"{kind}, {count} accounts: pages of 50", found, base="first page")
        growth = {
            f"first page of {FEW}": (await pages(small, FEW))["first page"],
            f"first page of {count}": (await pages(large, count))["first page"],
        }
        found = await medians(growth, rounds=ROUNDS)
        print_table(f"{kind}: growth", found, base=f"first page of {FEW}")


if __name__ == "__main__":
    on_both_databases(compare, MANY)
