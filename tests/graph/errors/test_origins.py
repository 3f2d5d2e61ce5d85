"""Origins of errors: values of the wrong type are masked, errors of the client are not."""

import asyncio
import dataclasses
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any, cast
from uuid import UUID

import pytest
import strawberry
from graphql import GraphQLError
from strawberry.permission import BasePermission
from strawberry.scalars import JSON

from postern import IsAuthenticated, Public
from server.limit_settings import Executor
from tests.accounts import ALICE
from tests.api import Api, denials, serving
from tests.clock import ManualClock
from tests.conftest import make_settings

SECRET = "hash-of-alice"


@dataclasses.dataclass
class Row:
    """A database row."""

    password_hash: str = SECRET


ROW: Any = {"password_hash": SECRET}

# Fields that raise CancelledError or SystemExit.
NOT_EXCEPTIONS = ["cancelled", "cancelsItself", "exits", "exitsAtOnce", "cancelledAtOnce"]


@strawberry.type
class Dog:
    name: str

    @classmethod
    def is_type_of(cls, value: object, _info: object) -> bool:
        return isinstance(value, cls)


@strawberry.type
class Cat:
    name: str

    @classmethod
    async def is_type_of(cls, value: object, _info: object) -> bool:
        return isinstance(value, cls)


@strawberry.interface
class Named:
    name: str


@strawberry.type
class Stone(Named):
    weight: int = 1


Pet = Annotated[Dog | Stone, strawberry.union("Pet")]


def wrong(type_: Any) -> Any:
    """A field of this type whose resolver returns a row."""

    def resolve() -> Any:
        return ROW

    resolve.__annotations__["return"] = type_ | None
    return strawberry.field(resolver=resolve, permission_classes=[Public])


@strawberry.interface
class Moody:
    """An interface whose types cannot be resolved."""

    name: str

    @classmethod
    def resolve_type(cls, value: object, _info: object, _type: object) -> str:
        raise GraphQLError("Out of tea.")


@strawberry.type
class Mood(Moody):
    """A type of the interface."""


class OwnPermission(BasePermission):
    """A permission class of Strawberry."""

    message = "Only on Sundays."

    def has_permission(self, source: Any, info: Any, **kwargs: Any) -> bool:
        return False


@strawberry.type
class Wrong:
    """Root fields whose values have the wrong type, and others that raise errors."""

    text: str | None = wrong(str)
    number: int | None = wrong(int)
    ratio: float | None = wrong(float)
    yes: bool | None = wrong(bool)
    numbers: list[int] | None = wrong(list[int])
    dog: Dog | None = wrong(Dog)
    cat: Cat | None = wrong(Cat)
    pet: Pet | None = wrong(Pet)
    named: Named | None = wrong(Named)

    @strawberry.field(permission_classes=[Public])
    async def later(self) -> int | None:
        return cast("int", ROW)

    @strawberry.field(permission_classes=[Public])
    def items(self) -> list[int | None] | None:
        return [cast("int", ROW)]

    @strawberry.field(permission_classes=[Public])
    def row(self) -> JSON | None:
        return cast("JSON", {"rows": [Row()]})

    @strawberry.field(permission_classes=[Public])
    def returned(self) -> int | None:
        return cast("int", GraphQLError("Out of tea."))

    @strawberry.field(permission_classes=[Public])
    def moody(self) -> Moody | None:
        return Mood(name="grey")

    @strawberry.field(permission_classes=[Public])
    def raised(self) -> int | None:
        raise GraphQLError("Out of tea.", extensions={"cups": 0})

    @strawberry.field(permission_classes=[IsAuthenticated, OwnPermission])
    def sundays(self) -> int | None:
        return 1

    @strawberry.field(permission_classes=[Public])
    async def cancelled(self) -> int | None:
        waiting = asyncio.ensure_future(asyncio.Event().wait())
        waiting.cancel()
        return int(await waiting)

    @strawberry.field(permission_classes=[Public])
    async def cancels_itself(self) -> int | None:
        task = asyncio.current_task()
        assert task
        task.cancel()
        await asyncio.sleep(0)
        return 1

    @strawberry.field(permission_classes=[Public])
    async def exits(self) -> int | None:
        await asyncio.sleep(0)
        sys.exit(SECRET)

    @strawberry.field(permission_classes=[Public])
    def exits_at_once(self) -> int | None:
        sys.exit(SECRET)

    @strawberry.field(permission_classes=[Public])
    def cancelled_at_once(self) -> int | None:
        raise asyncio.CancelledError(SECRET)

    @strawberry.field(permission_classes=[Public])
    def echo(self, number: int = 0, key: UUID | None = None) -> int | None:
        return number


@strawberry.type
class WrongEvents:
    """Subscriptions whose events have the wrong type or that raise errors."""

    @strawberry.subscription(permission_classes=[Public])
    async def ticks(self) -> AsyncIterator[int | None]:
        yield cast("int", ROW)

    @strawberry.subscription(permission_classes=[Public])
    async def exits(self) -> AsyncIterator[int | None]:
        yield 1
        sys.exit(SECRET)

    @strawberry.subscription(permission_classes=[Public])
    async def cancelled(self) -> AsyncIterator[int | None]:
        yield 1
        raise asyncio.CancelledError(SECRET)


@pytest.fixture(params=list(Executor))
async def api(
    request: pytest.FixtureRequest, sqlite_url: str, tmp_path: Path, clock: ManualClock
) -> AsyncIterator[Api]:
    settings = make_settings(sqlite_url, tmp_path).model_copy(update={"executor": request.param})
    custom: dict[str, Any] = {"queries": [Wrong], "subscriptions": [WrongEvents]}
    async with serving(settings, clock, **custom) as api:
        yield api


@pytest.mark.parametrize(
    "field",
    [
        *("text", "number", "ratio", "yes", "numbers", "later", "items"),
        *("dog { name }", "cat { name }", "pet { __typename }", "named { name }"),
    ],
)
async def test_value_of_wrong_type_is_masked(
    api: Api,
    field: str,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    reply = await api.post(f"{{ {field} }}", headers={"X-Request-Id": "find-me"})
    assert denials(reply.json()) == [{"code": "INTERNAL_SERVER_ERROR", "requestId": "find-me"}]
    logged = capsys.readouterr().out + caplog.text
    assert "find-me" in logged
    assert SECRET not in reply.text + logged


@pytest.mark.parametrize("field", NOT_EXCEPTIONS)
async def test_base_exception_of_a_resolver_is_masked(api: Api, field: str) -> None:
    reply = await api.post(f"{{ {field} }}", headers={"X-Request-Id": "find-me"})
    assert denials(reply.json()) == [{"code": "INTERNAL_SERVER_ERROR", "requestId": "find-me"}]
    assert SECRET not in reply.text


@pytest.mark.parametrize("field", NOT_EXCEPTIONS)
async def test_base_exception_over_socket_is_masked_and_socket_stays_open(
    api: Api, field: str
) -> None:
    token = await api.log_in(ALICE)
    async with api.accepted_socket() as socket:
        await socket.initialise(token)
        await socket.send(type="subscribe", id="1", payload={"query": f"{{ {field} }}"})
        received = str(await socket.receive())
        await socket.send(type="ping")
        assert await socket.receive() == {"type": "pong"}
    assert "INTERNAL_SERVER_ERROR" in received
    assert SECRET not in received


@pytest.mark.parametrize("field", ["exits", "cancelled"])
async def test_base_exception_of_source_is_masked_and_socket_stays_open(
    api: Api, field: str
) -> None:
    token = await api.log_in(ALICE)
    async with api.accepted_socket() as socket:
        await socket.initialise(token)
        await socket.send(
            type="subscribe", id="1", payload={"query": f"subscription {{ {field} }}"}
        )
        received = [await socket.receive(), await socket.receive()]
        await socket.send(type="ping")
        assert await socket.receive() == {"type": "pong"}
    assert [message["type"] for message in received] == ["next", "error"]
    assert "INTERNAL_SERVER_ERROR" in str(received)
    assert SECRET not in str(received)


async def test_event_of_wrong_type_is_masked(api: Api) -> None:
    token = await api.log_in(ALICE)
    async with api.accepted_socket() as socket:
        await socket.initialise(token)
        await socket.send(type="subscribe", id="1", payload={"query": "subscription { ticks }"})
        received = str(await socket.receive())
    assert SECRET not in received
    assert "INTERNAL_SERVER_ERROR" in received


async def test_dataclass_inside_json_is_never_sent(
    api: Api, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    reply = await api.post("{ row }")
    assert denials(reply.json())[0]["code"] == "INTERNAL_SERVER_ERROR"
    assert SECRET not in reply.text + capsys.readouterr().out + caplog.text


@pytest.mark.parametrize("field", ["returned", "raised", "moody { name }"])
async def test_graphql_error_of_custom_code_keeps_its_message(api: Api, field: str) -> None:
    (error,) = (await api.ask(f"{{ {field} }}"))["errors"]
    assert error["message"] == "Out of tea."


async def test_extensions_without_a_code_are_kept(api: Api) -> None:
    assert denials(await api.ask("{ raised }")) == [{"cups": 0, "code": "BAD_USER_INPUT"}]


async def test_refusal_of_a_strawberry_permission_is_forbidden(api: Api) -> None:
    result = await api.ask("{ sundays }", token=await api.log_in(ALICE))
    (error,) = result["errors"]
    assert error["message"] == "Only on Sundays."
    assert error["extensions"] == {"code": "FORBIDDEN", "required": "OwnPermission"}


async def test_strawberry_permission_is_checked_in_order(api: Api) -> None:
    assert denials(await api.ask("{ sundays }"))[0]["code"] == "UNAUTHENTICATED"


@pytest.mark.parametrize("literal", ["1" * 5000, "-" + "1" * 5000, "1" * 20])
async def test_integer_literal_of_any_length_is_client_error(api: Api, literal: str) -> None:
    result = await api.ask(f"{{ echo(number: {literal}) }}")
    assert denials(result) == [{"code": "GRAPHQL_VALIDATION_FAILED"}]
    assert "sys.set_int" not in result["errors"][0]["message"]


async def test_literal_that_scalar_rejects_is_client_error(api: Api) -> None:
    result = await api.ask('{ echo(key: "no-uuid") }')
    assert denials(result) == [{"code": "GRAPHQL_VALIDATION_FAILED"}]


async def test_variable_that_scalar_rejects_is_client_error(api: Api) -> None:
    result = await api.ask("query ($key: UUID) { echo(key: $key) }", {"key": SECRET})
    assert denials(result) == [{"code": "BAD_USER_INPUT"}]
    assert SECRET not in result["errors"][0]["message"]
