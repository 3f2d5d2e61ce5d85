"""A team's application and schema with Postern inside, as `examples/own_schema.py` shows it."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import strawberry
from fastapi import Depends, FastAPI
from strawberry.extensions import MaskErrors
from websockets.asyncio.client import connect

from examples import own_schema
from graph.guards import UnguardedField, UnknownPermission
from graph.schema import UnsupportedSchema
from postern import HasPermission, Public, User, create_app, mount_postern, require_viewer
from server.settings import ConfigurationError, Settings, Switch
from tests.api import BASE_URL, Client, denials, serving
from tests.clock import ManualClock
from tests.conftest import make_settings
from tests.databases import SqliteTemplates
from tests.examples.processes import running_uvicorn
from tests.people import ADMIN, ALICE

NOTES = "/notes/graphql"
WRITE = 'mutation { writeNote(text: "Rain.") { text author } }'
READ = "{ noteCount notes { text } }"


@pytest.fixture(scope="module")
def address(
    sqlite_templates: SqliteTemplates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Where the example runs, as its first line says."""
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


async def test_postern_answers_beside_the_teams_routes(client: Client) -> None:
    token = await client.log_in(ALICE)
    assert (await client.data("{ me { username } }", token=token))["me"] == {"username": "alice"}
    assert len((await client.http.get("/.well-known/jwks.json")).json()["keys"]) == 1
    assert (await client.http.get("/openapi.json")).json()["info"]["title"] == "Notes"
    assert (await client.http.get("/nowhere")).status_code == 404


async def test_the_own_schema_is_guarded_like_ours(client: Client) -> None:
    stranger = await ask(client, READ)
    assert stranger["data"] == {"noteCount": 1, "notes": None}
    assert denials(stranger) == [{"code": "UNAUTHENTICATED", "reason": "TOKEN_MISSING"}]
    alice = await client.log_in(ALICE)
    assert (await ask(client, READ, alice))["data"]["notes"] == [{"text": "The door is open."}]
    assert denials(await ask(client, WRITE, alice)) == [
        {"code": "FORBIDDEN", "required": "notes:write"}
    ]


async def test_the_own_schema_knows_who_calls(client: Client) -> None:
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


async def test_a_session_that_has_ended_ends_there_too(client: Client) -> None:
    token = await client.log_in(ALICE)
    await client.data("mutation { logout { endedSessions } }", token=token)
    assert denials(await ask(client, READ, token)) == [
        {"code": "UNAUTHENTICATED", "reason": "SESSION_REVOKED"}
    ]
    headers = {"Authorization": f"Bearer {token}"}
    refused = await client.http.get("/notes/mine", headers=headers)
    assert refused.status_code == 401
    assert "SESSION_REVOKED" in refused.headers["WWW-Authenticate"]


async def test_the_own_routes_refuse_with_a_challenge(client: Client) -> None:
    stranger = await client.http.get("/notes/mine")
    assert (stranger.status_code, stranger.headers["WWW-Authenticate"]) == (401, "Bearer")
    headers = {"Authorization": f"Bearer {await client.log_in(ALICE)}"}
    refused = await client.http.delete("/notes", headers=headers)
    assert refused.status_code == 403
    assert 'scope="notes:write"' in refused.headers["WWW-Authenticate"]


async def test_the_own_schema_has_the_limits_of_ours(client: Client) -> None:
    aliases = " ".join(f"a{n}: noteCount" for n in range(40))
    assert denials(await ask(client, f"{{ {aliases} }}"))[0]["limit"] == "aliases"


async def test_the_own_schema_has_sockets(client: Client, address: str) -> None:
    token = await client.log_in(ALICE)
    url = address.replace("http", "ws") + NOTES
    async with connect(url, subprotocols=["graphql-transport-ws"]) as socket:  # type: ignore[list-item]
        payload: dict[str, Any] = {"authorization": f"Bearer {token}"}
        await socket.send(json.dumps({"type": "connection_init", "payload": payload}))
        assert json.loads(await socket.recv()) == {"type": "connection_ack"}
        payload = {"query": "subscription { readAloud { author } }"}
        await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))
        async with asyncio.timeout(10):
            heard = json.loads(await socket.recv())
    assert heard["payload"]["data"] == {"readAloud": {"author": "admin"}}


# What keeps it from starting


@pytest.fixture
def settings(sqlite_url: str, tmp_path: Path) -> Settings:
    return make_settings(sqlite_url, tmp_path)


@strawberry.type
class Bell:
    """Something that anybody may ask."""

    @strawberry.field(permission_classes=[Public])
    def bell(self) -> str:
        return "Ding."


def start(settings: Settings, schema: strawberry.Schema, path: str = NOTES) -> FastAPI:
    return create_app(settings, schemas={path: schema}, permissions=own_schema.PERMISSIONS)


def test_a_root_field_that_says_nothing_does_not_start(settings: Settings) -> None:
    @strawberry.type
    class Query:
        @strawberry.field
        def secret(self) -> str:
            return "The key is under the mat."

    with pytest.raises(UnguardedField, match=r"Query\.secret: say who may ask"):
        start(settings, strawberry.Schema(Query))


def test_a_mutation_that_says_nothing_does_not_start(settings: Settings) -> None:
    @strawberry.type
    class Mutation:
        @strawberry.mutation
        def ring(self) -> str:
            return "Ding."

    with pytest.raises(UnguardedField, match=r"Mutation\.ring"):
        start(settings, strawberry.Schema(Bell, Mutation))


def test_a_way_to_a_person_that_says_nothing_does_not_start(settings: Settings) -> None:
    @strawberry.type
    class Letter:
        sender: User | None

    @strawberry.type
    class Query:
        @strawberry.field(permission_classes=[Public])
        def letter(self) -> Letter | None:
            return None

    with pytest.raises(UnguardedField, match=r"Letter\.sender"):
        start(settings, strawberry.Schema(Query))


def test_a_root_type_that_a_payload_leads_to_is_one_too(settings: Settings) -> None:
    @strawberry.type
    class Query:
        @strawberry.field
        def secret(self) -> str:
            return "The key is under the mat."

    @strawberry.type
    class RingPayload:
        query: Query | None

    @strawberry.type
    class Mutation:
        @strawberry.mutation(permission_classes=[Public])
        def ring(self) -> RingPayload:
            return RingPayload(query=Query())

    with pytest.raises(UnguardedField, match=r"Query\.secret"):
        start(settings, strawberry.Schema(Query, Mutation))


def test_a_type_that_only_an_interface_leads_to_is_looked_at(settings: Settings) -> None:
    @strawberry.interface
    class Thing:
        weight: int

    @strawberry.type
    class Letter(Thing):
        sender: User | None

    @strawberry.type
    class Query:
        @strawberry.field(permission_classes=[Public])
        def thing(self) -> Thing | None:
            return None

    with pytest.raises(UnguardedField, match=r"Letter\.sender"):
        start(settings, strawberry.Schema(Query, types=[Letter]))


def test_an_unknown_permission_does_not_start(settings: Settings) -> None:
    @strawberry.type
    class Query:
        @strawberry.field(permission_classes=[HasPermission("notes:burn")])
        def ashes(self) -> str | None:
            return None

    with pytest.raises(UnknownPermission, match="notes:burn"):
        start(settings, strawberry.Schema(Query))
    with pytest.raises(UnknownPermission, match="notes:burn"):
        require_viewer(start(settings, own_schema.SCHEMA), "notes:burn")


def test_an_extension_that_would_not_run_does_not_start(settings: Settings) -> None:
    schema = strawberry.Schema(Bell, extensions=[MaskErrors])
    with pytest.raises(UnsupportedSchema, match="MaskErrors"):
        start(settings, schema)


@pytest.mark.parametrize("path", ["/graphql", "notes", "/", "/notes/", "/{any}"])
def test_a_path_that_cannot_be_does_not_start(settings: Settings, path: str) -> None:
    with pytest.raises(ConfigurationError, match="an own schema needs a path"):
        start(settings, strawberry.Schema(Bell), path)


def test_trusted_documents_only_means_every_schema(settings: Settings, tmp_path: Path) -> None:
    manifest = tmp_path / "documents.json"
    manifest.write_text("{}")
    said = {"trusted_documents": manifest, "trusted_documents_only": Switch.ON}
    only = settings.model_copy(update=said)
    with pytest.raises(ConfigurationError, match="no manifest"):
        start(only, strawberry.Schema(Bell))


def test_the_schema_shows_who_may_ask(settings: Settings) -> None:
    schema = strawberry.Schema(Bell)
    for _ in range(2):
        start(settings, schema)
        assert "bell: String! @public\n" in schema.as_str()


# The life of both


async def test_postern_lives_as_long_as_the_application(
    settings: Settings, clock: ManualClock
) -> None:
    told = []

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, str]]:
        told.append(await postern.state.auth.keys.jwks())
        yield {"own": "state"}
        told.append(await postern.state.auth.keys.jwks())

    postern = create_app(settings, clock=clock)
    app = FastAPI(lifespan=lifespan)
    mount_postern(app, postern)
    async with app.router.lifespan_context(app) as state:
        assert state == {"own": "state"}
    # Its database was there before the first line of the team's own, and after the last.
    assert [len(keys["keys"]) for keys in told] == [1, 1]


async def test_an_own_route_says_when_the_database_is_away(
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
            with api.without_database():
                away = await http.get("/mine", headers=headers)
    assert (away.status_code, away.headers["Retry-After"]) == (503, "2")
