"""The viewer cache: its memory when full, and the time that a hit saves.

python -m benchmarks.viewer_cache
"""

import asyncio
import gc
import logging
import tempfile
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import structlog

from auth.clients import Client
from auth.viewer_cache import MAX_VIEWERS, ViewerCache
from auth.viewers import get_viewer
from benchmarks.measure import medians, print_table
from tests.accounts import ADMIN
from tests.api import Api, serving
from tests.clock import ManualClock
from tests.conftest import make_settings
from tests.databases import PostgresqlTemplates, SqliteTemplates, postgresql_folder

ROUNDS = 201
OVERFLOW = 100_000


async def measure_hit(api: Api) -> None:
    token = await api.log_in(ADMIN)

    async def hit() -> object:
        return await get_viewer(api.auth, Client(), token)

    async def miss() -> object:
        api.auth.viewer_cache.everything_changed()
        return await get_viewer(api.auth, Client(), token)

    found = await medians({"hit": hit, "miss": miss}, rounds=ROUNDS)
    title = f"Viewer of a token, including its signature, on {api.auth.db.dialect}"
    print_table(title, found, base="hit")


async def measure_memory(api: Api) -> None:
    """Puts more viewers into a cache than fit and prints its memory."""
    token = await api.log_in(ADMIN)
    viewer = await get_viewer(api.auth, Client(), token)
    template = api.auth.viewer_cache.get(viewer.session_id)
    assert template is not None
    cache = ViewerCache(api.auth.db.change_feed)
    gc.collect()
    tracemalloc.start()
    started = time.perf_counter()
    for number in range(OVERFLOW):
        user = replace(
            template.user,
            id=uuid4(),
            username=f"person-{number}",
            email=f"person-{number}@example.com",
        )
        cache.put(replace(template, session_id=uuid4(), user=user), cache.version())
    seconds = time.perf_counter() - started
    gc.collect()
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    print(
        f"\n{OVERFLOW:,} viewers put into a cache of at most {MAX_VIEWERS:,}: it contains"
        f" {len(cache):,}, {taken / 2**20:.1f} MiB, {taken / len(cache):.0f} bytes each"
        f" ({seconds:.1f} s, traced)"
    )


async def compare(urls: list[str], folder: Path) -> None:
    for url in urls:
        async with serving(make_settings(url, folder), ManualClock()) as api:
            await measure_hit(api)
    async with serving(make_settings(urls[0], folder), ManualClock()) as api:
        await measure_memory(api)


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory() as name, postgresql_folder() as postgresql:
        folder = Path(name)
        sqlite = SqliteTemplates(folder).new(folder)
        asyncio.run(compare([sqlite, PostgresqlTemplates(postgresql).new_uncached()], folder))


if __name__ == "__main__":
    main()
