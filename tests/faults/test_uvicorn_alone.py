"""The application with uvicorn's own protocol, which does not read the body of an upgrade."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.databases import SqliteTemplates
from tests.faults.cluster import SECRET
from tests.faults.request_attacks import NEXT, PADDED, SERVED, answered
from tests.faults.wire import post, wire
from tests.processes import Process, uvicorn_server

ASK = b'{"query": "{ __typename }"}'
# uvicorn passes each handshake to its WebSocket protocol, with everything after it.
UPGRADES = {
    name: request
    for name, request in {**SERVED, **PADDED}.items()
    if b"\r\nupgrade: " in request
    and b"\r\nconnection: " in request
    and b"upgrade: websocket" not in request
    and b"upgrade: \r\n" not in request
}


@pytest.fixture(scope="module")
def server(
    sqlite_templates: SqliteTemplates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Process]:
    folder = tmp_path_factory.mktemp("uvicorn")
    settings = {
        "POSTERN_ENVIRONMENT": "development",
        "POSTERN_DATABASE_URL": sqlite_templates.new(folder),
        "POSTERN_SECRET_KEY": SECRET,
        "POSTERN_BCRYPT_COST": "4",
    }
    with uvicorn_server(folder, settings) as process:
        yield process


@pytest.mark.parametrize("name", UPGRADES)
async def test_request_behind_an_unread_body_is_not_answered(server: Process, name: str) -> None:
    request = UPGRADES[name]
    async with wire(server) as client:
        # uvicorn parses a body in a separate segment as the next request.
        end = request.index(b"\r\n\r\n") + 4
        await client.send(request[:end])
        await asyncio.sleep(0.01)
        await client.send(request[end:] + NEXT)
        assert set(answered(await client.rest())) <= {b"attack"}


async def test_connection_stays_open_for_ordinary_requests(server: Process) -> None:
    async with wire(server) as client:
        for _ in range(3):
            assert await client.ask(post(ASK)) == 200
