"""An application with a custom schema and embedded Postern (`examples/own_schema.py`)."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import Depends, FastAPI
from websockets.asyncio.client import connect

from postern import create_app, mount_postern, require_viewer
from server.settings import Settings
from tests.accounts import ADMIN, ALICE
from tests.api import BASE_URL, Client, denials, logged_outages, serving
from tests.clock import ManualClock
from tests.conftest import make_settings
from tests.databases import SqliteTemplates
from tests.examples.processes import running_uvicorn

NOTES = "/notes/graphql"
WRITE = 'mutation { writeNote(text: "Rain.") { text author } }'
READ = "{ noteCount notes { text } }"


@pytest.fixture(scope="module")
def address(
    sqlite_templates: SqliteTemplates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The environment of the example."""
    folder = tmp_path_factory.mktemp("own_schema")
    settings = {
        "POSTERN_ENVIRONMENT": "development",
        "POSTERN_DATABASE_URL": sqlite_templates.new(folder),
        "POSTERN_BCRYPT_COST": "4",
    }
    with running_uvicorn(folder, "examples.own_schema:app", settings, ready="/readyz") as url:
        yield url


@pytest.fixture
async def client(address: str) -> AsyncIterator[Client]:
    async with httpx2.AsyncClient(base_url=address) as http:
        yield Client(http)


async def ask(client: Client, query: str, token: str | None = None) -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    reply = await client.http.post(NOTES, json={"query": query}, headers=headers)
    return reply.json()


async def test_postern_serves_beside_the_teams_routes(client: Client) -> None:
    token = await client.log_in(ALICE)
    assert (await client.data("{ me { username } }", token=token))["me"] == {"username": "alice"}
    assert len((await client.http.get("/.well-known/jwks.json")).json()["keys"]) == 1
    assert (await client.http.get("/openapi.json")).json()["info"]["title"] == "Notes"
    assert (await client.http.get("/nowhere")).status_code == 404


async def test_custom_schema_is_guarded(client: Client) -> None:
    stranger = await ask(client, READ)
    assert stranger["data"] == {"noteCount": 1, "notes": None}
    assert denials(stranger) == [{"code": "UNAUTHENTICATED", "reason": "TOKEN_MISSING"}]
    alice = await client.log_in(ALICE)
    assert (await ask(client, READ, alice))["data"]["notes"] == [{"text": "The door is open."}]
    assert denials(await ask(client, WRITE, alice)) == [
        {"code": "FORBIDDEN", "required": "notes:write"}
    ]


async def test_custom_schema_gets_the_viewer(client: Client) -> None:
    token = await client.log_in(ADMIN)
    headers = {"Authorization": f"Bearer {token}"}
    written = await ask(client, WRITE, token)
    assert written["data"]["writeNote"] == {"text": "Rain.", "author": "admin"}
    mine = await client.http.get("/notes/mine", headers=headers)
    assert mine.json() == ["The door is open.", "Rain."]
    torn = await client.http.delete("/notes", headers=headers)
    assert torn.status_code == 204
    own_schema_notes = await ask(client, "{ noteCount }")
    assert own_schema_notes["data"] == {"noteCount": 0}
    await ask(client, 'mutation { writeNote(text: "The door is open.") { text } }', token)


async def test_ended_session_is_refused_by_the_custom_schema(client: Client) -> None:
    token = await client.log_in(ALICE)
    await client.data("mutation { logout { endedSessions } }", token=token)
    assert denials(await ask(client, READ, token)) == [
        {"code": "UNAUTHENTICATED", "reason": "SESSION_REVOKED"}
    ]
    headers = {"Authorization": f"Bearer {token}"}
    refused = await client.http.get("/notes/mine", headers=headers)
    assert refused.status_code == 401
    assert "SESSION_REVOKED" in refused.headers["WWW-Authenticate"]


async def test_custom_route_refuses_with_a_challenge(client: Client) -> None:
    stranger = await client.http.get("/notes/mine")
    assert (stranger.status_code, stranger.headers["WWW-Authenticate"]) == (401, "Bearer")
    headers = {"Authorization": f"Bearer {await client.log_in(ALICE)}"}
    refused = await client.http.delete("/notes", headers=headers)
    assert refused.status_code == 403
    assert 'scope="notes:write"' in refused.headers["WWW-Authenticate"]


async def test_custom_schema_has_the_limits_of_postern(client: Client) -> None:
    aliases = " ".join(f"a{n}: noteCount" for n in range(40))
    assert denials(await ask(client, f"{{ {aliases} }}"))[0]["limit"] == "aliases"


async def test_custom_schema_has_sockets(client: Client, address: str) -> None:
    token = await client.log_in(ALICE)
    url = address.replace("http", "ws") + NOTES
    async with connect(url, subprotocols=["graphql-transport-ws"]) as socket:  # type: ignore[list-item]
        payload: dict[str, Any] = {"authorization": f"Bearer {token}"}
        await socket.send(json.dumps({"type": "connection_init", "payload": payload}))
        assert json.loads(await socket.recv()) == {"type": "connection_ack"}
        payload = {"query": "subscription { readAloud { author } }"}
        await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))
        async with asyncio.timeout(10):
            event = json.loads(await socket.recv())
    assert event["payload"]["data"] == {"readAloud": {"author": "admin"}}


# Startup and shutdown


@pytest.fixture
def settings(sqlite_url: str, tmp_path: Path) -> Settings:
    return make_settings(sqlite_url, tmp_path)


async def test_postern_starts_and_stops_with_the_application(
    settings: Settings, clock: ManualClock
) -> None:
    key_sets = []

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, str]]:
        key_sets.append(await postern.state.auth.keys.jwks())
        yield {"own": "state"}
        key_sets.append(await postern.state.auth.keys.jwks())

    postern = create_app(settings, clock=clock)
    app = FastAPI(lifespan=lifespan)
    mount_postern(app, postern)
    async with app.router.lifespan_context(app) as state:
        assert state == {"own": "state"}
    # The database was available before the startup and after the shutdown of the application.
    assert [len(keys["keys"]) for keys in key_sets] == [1, 1]


async def test_custom_route_reports_a_database_outage(
    settings: Settings, clock: ManualClock
) -> None:
    async with serving(settings, clock) as api:
        app = FastAPI()
        signed_in = Depends(require_viewer(api.app))

        @app.get("/mine", dependencies=[signed_in])
        async def mine() -> str:
            return "Yours."

        headers = {"Authorization": f"Bearer {await api.log_in(ALICE)}"}
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url=BASE_URL) as http:
            assert (await http.get("/mine", headers=headers)).json() == "Yours."
            api.auth.viewer_cache.everything_changed()
            with api.without_database(), logged_outages() as causes:
                away = await http.get("/mine", headers=headers)
    assert (away.status_code, away.headers["Retry-After"]) == (503, "2")
    assert causes == ["ConnectionRefusedError"]
