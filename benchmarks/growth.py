"""Times with a thousand times as many accounts: `me`, the lookup of a login, pages of `users`.

python -m benchmarks.growth [accounts]
"""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from auth.clients import Client
from auth.users import find_user_by_name
from auth.viewers import get_viewer
from benchmarks.accounts import cursor_at, find_users, name_of, sign_in
from benchmarks.both_databases import on_both_databases
from benchmarks.measure import Work, medians
from benchmarks.scenarios import ME
from benchmarks.tables import Goal, print_table
from benchmarks.users_pages import QUERY, filled
from tests.accounts import ADMIN
from tests.api import Api

FEW = 1_000
MANY = 1_000_000
ROUNDS = 201
# Enough users of the whole table that almost none is read twice.
USERS = 500
AT_MOST = 1.7


async def works(api: Api, count: int) -> dict[str, Work]:
    """Returns the work to compare."""
    users = await _users_of_the_whole_table(api, count)
    tokens = itertools.cycle(await sign_in(api.auth, [user_id for user_id, _ in users]))
    names = itertools.cycle([username for _, username in users])
    pages = await _pages(api, count)

    async def me() -> object:
        api.auth.viewer_cache.everything_changed()
        data = await api.data(ME, token=next(tokens))
        assert data["me"]
        return data

    async def viewer() -> object:
        api.auth.viewer_cache.everything_changed()
        return await get_viewer(api.auth, Client(), next(tokens))

    async def find() -> object:
        found = await find_user_by_name(api.auth, next(names))
        assert found
        return found

    return {
        "me, without caches": me,
        "the viewer alone": viewer,
        "the lookup of a sign-in": find,
        **pages,
    }


async def _users_of_the_whole_table(api: Api, count: int) -> Sequence[tuple[UUID, str]]:
    numbers = range(1, count, max(count // USERS, 2))
    # Every fiftieth is disabled.
    return await find_users(api.auth.db, [name_of(n) for n in numbers if n % 50])


async def _pages(api: Api, count: int) -> dict[str, Work]:
    token = await api.log_in(ADMIN)
    db = api.auth.db

    def page(cursors: Iterator[str | None]) -> Work:
        async def work() -> object:
            arguments: dict[str, Any] = {"first": 50, "after": next(cursors)}
            data = await api.data(QUERY, arguments, token=token)
            assert len(data["users"]["nodes"]) == 50
            return data

        return work

    # Pages start with the newest account; cursor_at counts from the oldest.
    middles = [await cursor_at(db, count * place // 100) for place in range(40, 61)]
    return {
        "first page": page(itertools.repeat(None)),
        "middle page": page(itertools.cycle(middles)),
        "last page": page(itertools.repeat(await cursor_at(db, 50))),
    }


async def compare(kind: str, few: str, many: str, folder: Path, count: int) -> None:
    async with filled(few, folder, FEW) as small, filled(many, folder, count) as large:
        little, much = await works(small, FEW), await works(large, count)
        found = {
            name: await medians({"few": little[name], "many": much[name]}, rounds=ROUNDS)
            for name in little
        }
    head = ["", f"ms of {FEW:,}", f"ms of {count:,}", "wanted", "ratio", ""]
    rows = [_row(name, taken["few"], taken["many"]) for name, taken in found.items()]
    print_table(f"{kind}: medians of {ROUNDS} in turn", head, rows)


def _row(name: str, few: float, many: float) -> list[str]:
    goal = Goal(name, many / few, at_most=AT_MOST)
    return [name, f"{few * 1000:.2f}", f"{many * 1000:.2f}", *goal.row[1:]]


if __name__ == "__main__":
    on_both_databases(compare, MANY)
