"""A storm of logins: most of them are refused at once, and other requests are not affected."""

import asyncio
import statistics
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.api import LOGIN
from tests.faults.cluster import clients, one_of_cluster, outcome, signed_in
from tests.faults.wire import Wire, post, wire

STORM = 200
# A tenth of a second for each hash, or more: the queue ends well before the storm. On a busy
# machine the accepted logins take longer than the usual timeout of an operation.
SETTINGS = {"POSTERN_BCRYPT_COST": "11", "POSTERN_MAX_OPERATION_SECONDS": "60"}
MEGABYTE = 1_000_000


async def guess(client: Wire, number: int) -> tuple[float, Any]:
    """Logs in as a user that does not exist. Returns the duration and the result."""
    variables = {"input": {"username": f"unknown-{number}", "password": "wrong"}}
    started = time.monotonic()
    await client.send(post(orjson.dumps({"query": LOGIN, "variables": variables})))
    _, body = await client.reply()
    return time.monotonic() - started, orjson.loads(body)["data"]["login"]["errors"][0]


@pytest.mark.soak
async def test_full_password_queue_refuses_at_once_and_me_still_works(
    sqlite_url: str, tmp_path: Path
) -> None:
    with one_of_cluster(tmp_path, sqlite_url, **SETTINGS) as server:
        async with clients([server]) as (client,), AsyncExitStack() as stack:
            alice = await signed_in(client)
            crowd = [await stack.enter_async_context(wire(server)) for _ in range(STORM)]
            before = server.resident_bytes
            storm = asyncio.gather(*(guess(one, number) for number, one in enumerate(crowd)))
            waits = []
            while not storm.done():
                started = time.monotonic()
                assert await outcome(client, alice.access_token) == "ok"
                waits.append(time.monotonic() - started)
                await asyncio.sleep(0.01)
            answers = await storm
            assert server.resident_bytes - before < 20 * MEGABYTE
    refused = [(took, e["retryAfter"]) for took, e in answers if e["code"] == "RATE_LIMITED"]
    let_in = [took for took, e in answers if e["code"] == "INVALID_CREDENTIALS"]
    assert len(refused) + len(let_in) == STORM
    assert len(refused) > STORM / 2
    assert all(retry_after > 0 for _, retry_after in refused)
    # A full queue refuses at once, without waiting for the accepted logins.
    assert statistics.median(took for took, _ in refused) < max(let_in) / 2
    assert sorted(waits)[len(waits) // 2] < 0.25
