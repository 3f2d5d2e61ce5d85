"""Extensions and options of a custom schema, through a server."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import strawberry
from graphql import GraphQLError, ValueNode
from strawberry.directive import DirectiveLocation, DirectiveValue
from strawberry.extensions import MaskErrors, QueryDepthLimiter, SchemaExtension
from strawberry.schema.config import BatchingConfig, StrawberryConfig

from graph.guards import UnguardedField
from graph.schema import UnsupportedSchema
from models.database import DatabaseUnavailable
from postern import FederationSchema, HasPermission, IsAuthenticated, Public, create_app
from server.limit_settings import Executor
from server.settings import Settings
from tests.accounts import ALICE
from tests.api import Api, denials, serving
from tests.clock import ManualClock
from tests.conftest import make_settings
from tests.sockets import Socket

PATH = "/own/graphql"
SECRET = "hunter2-in-the-document"


@strawberry.type
class Query:
    @strawberry.field(permission_classes=[Public])
    def word(self, said: str = "word") -> str:
        return said

    @strawberry.field(permission_classes=[IsAuthenticated])
    def own(self) -> str | None:
        return "own"

    @strawberry.field(permission_classes=[Public])
    def broken(self, said: str = "") -> str | None:
        raise RuntimeError(f"broken inside, with {len(said)} characters")

    @strawberry.field(permission_classes=[Public])
    def hinted(self) -> str | None:
        raise GraphQLError("Look again.", extensions={"hint": "left"})


@pytest.fixture(params=list(Executor))
def settings(sqlite_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    settings = make_settings(sqlite_url, tmp_path)
    return settings.model_copy(update={"executor": request.param})


@asynccontextmanager
async def serving_schema(
    settings: Settings, clock: ManualClock, schema: strawberry.Schema
) -> AsyncIterator[Api]:
    async with serving(settings, clock, schemas={PATH: schema}) as api:
        yield api


async def ask(api: Api, query: str, token: str | None = None, **more: Any) -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return await api.http.post(PATH, json={"query": query, **more}, headers=headers)


class Counts(SchemaExtension):
    def on_execute(self) -> Iterator[None]:
        yield
        self.execution_context.extensions_results["ran"] = True

    def get_results(self) -> dict[str, Any]:
        return {"counted": 3}


async def test_schema_extension_adds_to_the_reply(settings: Settings, clock: ManualClock) -> None:
    async with serving_schema(
        settings, clock, strawberry.Schema(Query, extensions=[Counts])
    ) as api:
        reply = (await ask(api, "{ word own }")).json()
    assert reply["data"] == {"word": "word", "own": None}
    assert denials(reply) == [{"code": "UNAUTHENTICATED", "reason": "TOKEN_MISSING"}]
    assert reply["extensions"] == {"counted": 3, "ran": True}


async def test_schema_extension_keeps_permission_checks(
    settings: Settings, clock: ManualClock
) -> None:
    async with serving_schema(
        settings, clock, strawberry.Schema(Query, extensions=[Counts])
    ) as api:
        token = await api.log_in(ALICE)
        assert (await ask(api, "{ own }", token)).json()["data"] == {"own": "own"}


async def test_masked_internal_error_is_logged_without_the_document(
    settings: Settings,
    clock: ManualClock,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    schema = strawberry.Schema(Query, extensions=[MaskErrors])
    async with serving_schema(settings, clock, schema) as api:
        reply = await api.http.post(
            PATH,
            json={"query": f'{{ broken(said: "{SECRET}") }}'},
            headers={"X-Request-Id": "find-me"},
        )
    assert [error["message"] for error in reply.json()["errors"]] == ["Unexpected error."]
    logged = capsys.readouterr().out + caplog.text
    assert "broken inside" in logged
    assert "find-me" in logged
    assert SECRET not in logged


async def test_denial_is_not_logged_by_strawberry(
    settings: Settings,
    clock: ManualClock,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    schema = strawberry.Schema(Query, extensions=[MaskErrors])
    async with serving_schema(settings, clock, schema) as api:
        await ask(api, f'{{ own word(said: "{SECRET}") }}')
    logged = capsys.readouterr().out + caplog.text
    assert "Traceback" not in logged
    assert SECRET not in logged


def failing(error: Exception) -> type[SchemaExtension]:
    class Fails(SchemaExtension):
        def on_operation(self) -> Iterator[None]:
            yield
            raise error

    return Fails


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (RuntimeError("a secret inside"), 500, "INTERNAL_SERVER_ERROR"),
        (DatabaseUnavailable(), 503, "SERVICE_UNAVAILABLE"),
        (GraphQLError("no", extensions={"code": "NO"}), 200, "NO"),
    ],
)
async def test_error_in_a_hook_is_masked(
    settings: Settings, clock: ManualClock, error: Exception, status: int, code: str
) -> None:
    schema = strawberry.Schema(Query, extensions=[failing(error)])
    async with serving_schema(settings, clock, schema) as api:
        reply = await ask(api, "{ word }")
    assert reply.status_code == status
    assert [error["extensions"]["code"] for error in reply.json()["errors"]] == [code]
    assert "secret" not in reply.text
    assert ("retry-after" in reply.headers) == (status == 503)


class BadResults(SchemaExtension):
    def get_results(self) -> dict[str, Any]:
        raise RuntimeError("a secret inside")


async def test_error_in_get_results_is_masked(settings: Settings, clock: ManualClock) -> None:
    schema = strawberry.Schema(Query, extensions=[BadResults])
    async with serving_schema(settings, clock, schema) as api:
        reply = await ask(api, "{ word }")
    assert reply.status_code == 500
    assert "secret" not in reply.text


async def test_limit_of_an_extension_is_reported(settings: Settings, clock: ManualClock) -> None:
    schema = strawberry.Schema(Query, extensions=[lambda: QueryDepthLimiter(max_depth=-1)])
    async with serving_schema(settings, clock, schema) as api:
        (error,) = (await ask(api, "{ word }")).json()["errors"]
    assert "exceeds maximum operation depth" in error["message"]


async def test_limits_of_postern_are_checked_before_extensions(
    settings: Settings, clock: ManualClock
) -> None:
    schema = strawberry.Schema(Query, extensions=[Counts])
    few = settings.model_copy(update={"max_tokens": 10})
    async with serving_schema(few, clock, schema) as api:
        (error,) = (await ask(api, "{ " + "word " * 20 + "}")).json()["errors"]
    assert error["extensions"]["code"] == "LIMIT_EXCEEDED"


async def test_slow_hook_is_stopped_at_the_time_limit(
    settings: Settings, clock: ManualClock
) -> None:
    class Waits(SchemaExtension):
        async def on_execute(self) -> AsyncIterator[None]:
            await asyncio.Event().wait()
            yield

    short = settings.model_copy(update={"max_operation_seconds": 0.05})
    schema = strawberry.Schema(Query, extensions=[Waits])
    async with serving_schema(short, clock, schema) as api:
        assert (await ask(api, "{ word }")).status_code == 503


@strawberry.directive(locations=[DirectiveLocation.FIELD])
def upper(value: DirectiveValue[str]) -> str:
    return value.upper()


async def test_operation_directive_is_run(settings: Settings, clock: ManualClock) -> None:
    schema = strawberry.Schema(Query, directives=[upper])
    async with serving_schema(settings, clock, schema) as api:
        assert (await ask(api, "{ word @upper }")).json()["data"] == {"word": "WORD"}


async def test_error_extensions_without_a_code_are_kept(
    settings: Settings, clock: ManualClock
) -> None:
    async with serving_schema(settings, clock, strawberry.Schema(Query)) as api:
        (error,) = (await ask(api, "{ hinted }")).json()["errors"]
    assert error["extensions"] == {"code": "BAD_USER_INPUT", "hint": "left"}


async def test_extensions_of_a_request_reach_its_resolvers_only(
    settings: Settings, clock: ManualClock
) -> None:
    @strawberry.type
    class Reader:
        @strawberry.field(permission_classes=[Public])
        def read(self, info: strawberry.Info) -> str:
            return f"{info.input_extensions}"

    async with serving_schema(settings, clock, strawberry.Schema(Reader)) as api:
        for sent in ({"trace": 1}, {"trace": 2}):
            reply = (await ask(api, "{ read }", extensions=sent)).json()
            assert reply == {"data": {"read": f"{sent}"}}
        assert (await ask(api, "{ read }")).json() == {"data": {"read": "None"}}


@pytest.mark.parametrize("disabled", [False, True])
async def test_field_suggestions_can_be_disabled(
    settings: Settings, clock: ManualClock, disabled: bool
) -> None:
    config = StrawberryConfig(disable_field_suggestions=disabled)
    async with serving_schema(settings, clock, strawberry.Schema(Query, config=config)) as api:
        (error,) = (await ask(api, "{ wordd }")).json()["errors"]
    assert ("Did you mean" in error["message"]) != disabled


async def test_refused_literal_of_a_custom_scalar_is_not_cached(
    settings: Settings, clock: ManualClock
) -> None:
    is_open: list[bool] = []

    class Ticket:
        """What a scalar stands for."""

    def read(node: ValueNode, _variables: object = None) -> str:
        if not is_open:
            raise ValueError("closed")
        return "ticket"

    @strawberry.type
    class Box:
        @strawberry.field(permission_classes=[Public])
        def enter(self, ticket: Ticket) -> str:
            return f"{ticket}"

    scalar = strawberry.scalar(name="Ticket", serialize=str, parse_value=str, parse_literal=read)
    schema = strawberry.Schema(Box, config=StrawberryConfig(scalar_map={Ticket: scalar}))
    async with serving_schema(settings, clock, schema) as api:
        assert "errors" in (await ask(api, "{ enter(ticket: 1) }")).json()
        is_open.append(True)
        assert (await ask(api, "{ enter(ticket: 1) }")).json() == {"data": {"enter": "ticket"}}


FIND = "fragment F on Finder { find(by: {id: $id}) }"


@pytest.mark.parametrize(
    "text",
    [
        f"query A($id: ID!) {{ ...F }} query B {{ __typename }} {FIND}",
        f"{FIND} query B {{ __typename }} query A($id: ID!) {{ ...F }}",
    ],
)
async def test_variable_of_one_operation_in_a_one_of_input_is_valid(
    settings: Settings, clock: ManualClock, text: str
) -> None:
    @strawberry.input(one_of=True)
    class By:
        id: strawberry.Maybe[strawberry.ID]
        name: strawberry.Maybe[str]

    @strawberry.type
    class Finder:
        @strawberry.field(permission_classes=[Public])
        def find(self, by: By) -> str:
            return f"{by.id and by.id.value}"

    async with serving_schema(settings, clock, strawberry.Schema(Finder)) as api:
        reply = await ask(api, text, variables={"id": "7"}, operationName="A")
        other = await ask(api, text, operationName="B")
    assert reply.json() == {"data": {"find": "7"}}
    assert other.json() == {"data": {"__typename": "Finder"}}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (StrawberryConfig(enable_experimental_incremental_execution=True), "@defer and @stream"),
        (
            StrawberryConfig(batching_config=BatchingConfig(max_operations=3)),
            "one operation per request",
        ),
    ],
)
def test_unsupported_option_prevents_startup(
    settings: Settings, config: StrawberryConfig, message: str
) -> None:
    with pytest.raises(UnsupportedSchema, match=message):
        create_app(settings, schemas={PATH: strawberry.Schema(Query, config=config)})


# Sockets


@strawberry.type
class Subscription:
    @strawberry.subscription(permission_classes=[IsAuthenticated])
    async def count(self, info: strawberry.Info) -> AsyncIterator[str]:
        for number in range(2):
            yield f"{number} {info.input_extensions}"

    @strawberry.subscription(permission_classes=[HasPermission("users:write")])
    async def hidden(self) -> AsyncIterator[int]:
        yield 1

    @strawberry.subscription(permission_classes=[Public])
    async def breaks(self) -> AsyncIterator[int]:
        yield 1
        raise RuntimeError("a secret inside")


@asynccontextmanager
async def subscribing(
    settings: Settings, clock: ManualClock, *extensions: Any
) -> AsyncIterator[Socket]:
    schema = strawberry.Schema(Query, subscription=Subscription, extensions=extensions)
    async with serving_schema(settings, clock, schema) as api:
        token = await api.log_in(ALICE)
        async with api.accepted_socket(path=PATH) as socket:
            yield await socket.initialise(token)


async def subscribe(socket: Socket, query: str, **payload: Any) -> None:
    await socket.send(type="subscribe", id="1", payload={"query": query, **payload})


@pytest.mark.parametrize("extensions", [[], [Counts]])
async def test_subscription_sends_results_with_extensions_of_the_schema(
    settings: Settings, clock: ManualClock, extensions: list[Any]
) -> None:
    added = {"extensions": {"counted": 3}} if extensions else {}
    async with subscribing(settings, clock, *extensions) as socket:
        await subscribe(socket, "subscription { count }", extensions={"a": 1})
        for number in range(2):
            payload = (await socket.receive())["payload"]
            assert payload["data"] == {"count": f"{number} {{'a': 1}}"}
            assert payload.get("extensions", {}).get("counted") == (3 if added else None)
        assert await socket.receive() == {"id": "1", "type": "complete"}


@pytest.mark.parametrize("extensions", [[], [Counts], [MaskErrors]])
async def test_denied_subscription_sends_an_error(
    settings: Settings, clock: ManualClock, extensions: list[Any]
) -> None:
    async with subscribing(settings, clock, *extensions) as socket:
        await subscribe(socket, "subscription { hidden }")
        message = await socket.receive()
    assert message["type"] == "error"


@pytest.mark.parametrize("extensions", [[], [Counts]])
async def test_internal_error_of_a_subscription_is_masked(
    settings: Settings, clock: ManualClock, extensions: list[Any]
) -> None:
    async with subscribing(settings, clock, *extensions) as socket:
        await subscribe(socket, "subscription { breaks }")
        assert (await socket.receive())["payload"]["data"] == {"breaks": 1}
        message = await socket.receive()
    assert message["type"] == "error"
    assert message["payload"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert "secret" not in str(message)


# Federation


@strawberry.federation.type(keys=["id"])
class Product:
    id: strawberry.ID
    name: str

    @classmethod
    def resolve_reference(cls, id: strawberry.ID) -> "Product":
        return cls(id=id, name=f"product {id}")


ENTITIES = "query ($r: [_Any!]!) { _entities(representations: $r) { ... on Product { name } } }"
WANTED = {"r": [{"__typename": "Product", "id": "7"}]}


def test_federation_schema_without_permissions_prevents_startup(settings: Settings) -> None:
    schema = strawberry.federation.Schema(Query, types=[Product])
    with pytest.raises(UnguardedField, match=r"Query\._entities, Query\._service: .*Federation"):
        create_app(settings, schemas={PATH: schema})


async def test_federation_fields_are_guarded(settings: Settings, clock: ManualClock) -> None:
    schema = FederationSchema(
        Query, types=[Product], federation_permission_classes=[IsAuthenticated]
    )
    async with serving_schema(settings, clock, schema) as api:
        stranger = (await ask(api, ENTITIES, variables=WANTED)).json()
        service = (await ask(api, "{ _service { sdl } }")).json()
        token = await api.log_in(ALICE)
        known = (await ask(api, ENTITIES, token, variables=WANTED)).json()
    assert denials(stranger) == denials(service) != []
    assert known == {"data": {"_entities": [{"name": "product 7"}]}}


async def test_federation_fields_can_be_public(settings: Settings, clock: ManualClock) -> None:
    schema = FederationSchema(Query, types=[Product], federation_permission_classes=[Public])
    async with serving_schema(settings, clock, schema) as api:
        reply = (await ask(api, "{ _service { sdl } }")).json()
    assert (
        "_entities(representations: [_Any!]!): [_Entity]! @public"
        in reply["data"]["_service"]["sdl"]
    )


def test_custom_federation_field_keeps_its_permission(settings: Settings) -> None:
    @strawberry.type
    class Own(Query):
        @strawberry.field(name="_service", permission_classes=[HasPermission("users:read")])
        def service(self) -> str:
            return "sdl"

    schema = FederationSchema(Own, types=[Product], federation_permission_classes=[Public])
    create_app(settings, schemas={PATH: schema})
    assert '_service: String! @requires(permission: "users:read")' in str(schema)


def test_federation_schema_with_empty_permission_classes_prevents_startup(
    settings: Settings,
) -> None:
    with pytest.raises(UnguardedField):
        create_app(
            settings,
            schemas={PATH: FederationSchema(Query, federation_permission_classes=[])},
        )
