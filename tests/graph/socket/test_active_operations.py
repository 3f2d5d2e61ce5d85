"""Operations over a socket: the same rules as over HTTP."""

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import strawberry
from strawberry.permission import BasePermission

from auth.errors import Forbidden
from graph.context import Info
from graph.permissions import HasPermission, IsAuthenticated, Public
from server.settings import Switch
from tests.accounts import ADMIN, ALICE, BOB
from tests.api import Api, serving
from tests.clock import ManualClock
from tests.conftest import make_settings
from tests.sessions import CHANGE_PASSWORD, LOGIN, REFRESH, Device
from tests.sockets import Socket

EVENTS = "subscription { sessionEvents { kind session { id current } } }"
ME = "{ me { username } }"
LOGOUT = "mutation { logout { endedSessions } }"


async def ask(socket: Socket, query: str, id_: str = "1", **payload: Any) -> Any:
    """Runs an operation with one result, and returns the first message about it."""
    await socket.send(type="subscribe", id=id_, payload={"query": query, **payload})
    return await socket.receive()


async def result(socket: Socket, query: str, **payload: Any) -> Any:
    """Runs an operation with one result, and returns the result."""
    message = await ask(socket, query, **payload)
    assert message["type"] == "next", message
    assert await socket.receive() == {"id": "1", "type": "complete"}
    return message["payload"]


def error_code(message: Any) -> str:
    assert message["type"] == "error", message
    return str(message["payload"][0]["extensions"]["code"])


@pytest.fixture
async def device(sqlite_api: Api) -> Device:
    return await Device(sqlite_api).log_in()


@pytest.fixture
async def socket(sqlite_api: Api, device: Device) -> AsyncGenerator[Socket, None]:
    async with sqlite_api.accepted_socket(headers={"user-agent": "TV"}) as socket:
        yield await socket.initialise(device.access_token)


# One result


async def test_query_over_socket_sends_next_and_complete(socket: Socket) -> None:
    assert await result(socket, ME) == {"data": {"me": {"username": "alice"}}}


async def test_mutation_over_socket_takes_effect(socket: Socket, sqlite_api: Api) -> None:
    query = "mutation ($i: LoginInput!) { login(input: $i) { user { username } } }"
    variables = {"i": {"username": BOB.username, "password": BOB.password}}
    reply = await result(socket, query, variables=variables)
    assert reply == {"data": {"login": {"user": {"username": "bob"}}}}


async def test_partial_result_over_socket_keeps_its_data(socket: Socket) -> None:
    reply = await result(socket, "{ me { username } users { nodes { id } } }")
    assert reply["data"] == {"me": {"username": "alice"}, "users": None}
    assert reply["errors"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_operation_name_selects_the_operation(socket: Socket) -> None:
    both = "query A { a: __typename } query B { b: __typename }"
    assert await result(socket, both, operationName="B") == {"data": {"b": "Query"}}
    assert await result(socket, ME, operationName="") == {"data": {"me": {"username": "alice"}}}


@pytest.mark.parametrize("shape", [[], {}, None, ""])
@pytest.mark.parametrize("name", ["variables", "extensions"])
async def test_empty_members_count_as_missing_over_socket(
    socket: Socket, name: str, shape: object
) -> None:
    assert "errors" not in await result(socket, ME, **{name: shape})


@pytest.mark.parametrize("shape", [[], {}, None, ""])
@pytest.mark.parametrize("name", ["variables", "extensions"])
async def test_empty_members_count_as_missing_over_http(
    sqlite_api: Api, device: Device, name: str, shape: object
) -> None:
    body = {"query": ME, "operationName": None, name: shape}
    headers = {"Authorization": f"Bearer {device.access_token}"}
    reply = await sqlite_api.http.post("/graphql", json=body, headers=headers)
    assert reply.json() == {"data": {"me": {"username": "alice"}}}


INVALID: dict[str, tuple[dict[str, Any], str]] = {
    "no document": ({}, "BAD_REQUEST"),
    "empty document": ({"query": ""}, "BAD_REQUEST"),
    "document is a number": ({"query": 1}, "BAD_REQUEST"),
    "variables are a list": ({"query": ME, "variables": [1]}, "BAD_REQUEST"),
    "name is a number": ({"query": ME, "operationName": 1}, "BAD_REQUEST"),
    "extensions are text": ({"query": ME, "extensions": "x"}, "BAD_REQUEST"),
    "two documents": ({"query": ME, "documentId": "x"}, "BAD_REQUEST"),
    "unknown id": ({"documentId": "x"}, "PERSISTED_QUERY_NOT_FOUND"),
    "persisted": ({"extensions": {"persistedQuery": {}}}, "PERSISTED_QUERY_NOT_SUPPORTED"),
    "syntax": ({"query": "{"}, "GRAPHQL_PARSE_FAILED"),
    "unknown field": ({"query": "{ shoeSize }"}, "GRAPHQL_VALIDATION_FAILED"),
    "unknown operation": ({"query": ME, "operationName": "X"}, "OPERATION_RESOLUTION_FAILURE"),
    "tokens": ({"query": "{" + "me { id }" * 400 + "}"}, "LIMIT_EXCEEDED"),
}
INVALID["cost"] = (
    {
        "query": "query ($n: Int) { users(first: $n) { nodes { sessions(first: 100) {"
        " nodes { id device } } } } }",
        "variables": {"n": 100},
    },
    "LIMIT_EXCEEDED",
)
_LOGIN = 'login(input: {username: "alice", password: "x"}) { user { id } }'
INVALID["two secrets"] = ({"query": f"mutation {{ a: {_LOGIN} b: {_LOGIN} }}"}, "LIMIT_EXCEEDED")
INVALID["variables do not fit"] = (
    {"query": "query ($id: ID!) { user(id: $id) { id } }", "variables": {"id": [1]}},
    "BAD_USER_INPUT",
)


@pytest.mark.parametrize("case", INVALID)
async def test_invalid_operation_sends_an_error_and_keeps_the_socket_open(
    socket: Socket, case: str
) -> None:
    payload, code = INVALID[case]
    await socket.send(type="subscribe", id="1", payload=payload)
    message = await socket.receive()
    assert (message["id"], error_code(message)) == ("1", code)
    assert "errors" not in await result(socket, ME)


async def test_failed_logins_over_socket_are_throttled(socket: Socket, sqlite_api: Api) -> None:
    variables = {"input": {"username": "alice", "password": "wrong"}}
    codes = []
    for _ in range(15):
        reply = await result(socket, LOGIN, variables=variables)
        codes.append(reply["data"]["login"]["errors"][0]["code"])
    assert codes[-1] == "RATE_LIMITED"
    over_http = await sqlite_api.ask(LOGIN, variables)
    assert over_http["data"]["login"]["errors"][0]["code"] == "RATE_LIMITED"


async def test_session_of_a_login_over_socket_has_the_client_address(
    socket: Socket, sqlite_api: Api
) -> None:
    variables = {"input": {"username": BOB.username, "password": BOB.password}}
    reply = await result(socket, LOGIN, variables=variables)
    token = reply["data"]["login"]["tokens"]["accessToken"]
    data = await sqlite_api.data("{ me { sessions { nodes { device address } } } }", token=token)
    assert data["me"]["sessions"]["nodes"][0] == {"device": "TV", "address": "192.0.2.7"}


async def test_trusted_documents_only_holds_over_socket(
    sqlite_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    manifest = tmp_path / "documents.json"
    manifest.write_text(json.dumps({"abc": ME, "def": LOGIN}))
    settings = make_settings(sqlite_url, tmp_path).model_copy(
        update={"trusted_documents": manifest, "trusted_documents_only": Switch.ON}
    )
    async with serving(settings, clock) as api:
        variables = {"input": {"username": ALICE.username, "password": ALICE.password}}
        body = {"documentId": "def", "variables": variables}
        reply = (await api.http.post("/graphql", json=body)).json()
        async with api.accepted_socket() as socket:
            await socket.initialise(reply["data"]["login"]["tokens"]["accessToken"])
            assert error_code(await ask(socket, ME)) == "DOCUMENT_NOT_TRUSTED"
            await socket.send(type="subscribe", id="1", payload={"documentId": "sha256:abc"})
            assert (await socket.receive())["payload"] == {"data": {"me": {"username": "alice"}}}


# Cookies


async def test_login_by_cookie_over_socket_starts_no_session(
    socket: Socket, sqlite_api: Api, device: Device
) -> None:
    variables = {"input": {"username": "alice", "password": ALICE.password, "delivery": "COOKIE"}}
    reply = (await ask(socket, LOGIN, variables=variables))["payload"]
    assert reply["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT"}
    assert "cookie" in reply["errors"][0]["message"]
    data = await sqlite_api.data("{ me { sessions { nodes { id } } } }", token=device.access_token)
    assert len(data["me"]["sessions"]["nodes"]) == 1


async def test_refresh_by_cookie_over_socket_is_refused(sqlite_api: Api, device: Device) -> None:
    cookie = {"cookie": f"postern_refresh={device.refresh_token}"}
    async with sqlite_api.accepted_socket(headers=cookie, origin="http://localhost:8000") as socket:
        await socket.initialise(device.access_token)
        reply = (await ask(socket, REFRESH, variables={"input": {}}))["payload"]
        assert reply["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT"}
    await device.refresh()


# A mutation that ends its own session


@pytest.mark.parametrize("mutation", [LOGOUT, "mutation { logoutEverywhere { endedSessions } }"])
async def test_logout_over_socket_is_answered_before_the_socket_is_closed(
    api: Api, mutation: str
) -> None:
    device = await Device(api).log_in()
    async with api.accepted_socket() as socket:
        await socket.initialise(device.access_token)
        reply = await result(socket, mutation)
        assert next(iter(reply["data"].values())) == {"endedSessions": 1}
        assert await socket.wait_closed() == (4401, "SESSION_REVOKED")
    assert not await device.is_signed_in()


async def test_password_change_over_socket_is_answered_and_ends_the_other_sessions(
    api: Api,
) -> None:
    device, other = await Device(api).log_in(), await Device(api).log_in()
    async with api.accepted_socket() as socket, api.accepted_socket() as others:
        await socket.initialise(device.access_token)
        await others.initialise(other.access_token)
        new = "a much better passphrase"
        variables = {"input": {"currentPassword": ALICE.password, "newPassword": new}}
        reply = await result(socket, CHANGE_PASSWORD, variables=variables)
        assert reply["data"]["changePassword"]["errors"] == []
        assert await others.wait_closed() == (4401, "SESSION_REVOKED")
        assert "errors" not in await result(socket, ME)


async def test_operation_after_logout_over_the_same_socket_does_not_run(api: Api) -> None:
    device = await Device(api).log_in()
    async with api.accepted_socket() as socket:
        await socket.initialise(device.access_token)
        await socket.send(type="subscribe", id="1", payload={"query": LOGOUT})
        assert (await socket.receive())["type"] == "next"
        await socket.send(type="subscribe", id="2", payload={"query": ME})
        received = await socket.receive_until_closed()
        assert not any("alice" in str(message) for message in received)


# A custom schema


@strawberry.type
class Shaky:
    number: int

    @strawberry.field
    def half(self) -> int:
        if self.number % 2:
            raise ValueError("an internal detail")
        return self.number // 2


@strawberry.type
class Counted:
    @strawberry.field
    def calls(self, info: Info) -> int:
        info.context.state["calls"] = info.context.state.get("calls", 0) + 1
        return int(info.context.state["calls"])


class Gate:
    """Lets a test hold a mutation, and see whether it finished."""

    def __init__(self) -> None:
        self.close()

    def close(self) -> None:
        self.started = asyncio.Event()
        self.open = asyncio.Event()
        self.passed = False


GATE = Gate()


class Slow(BasePermission):
    """Never returns."""

    message = "Never."

    async def has_permission(self, source: Any, info: Info, **kwargs: Any) -> bool:
        await asyncio.Event().wait()
        return True


class SlowDatabase(Slow):
    """Waits for the database."""

    async def has_permission(self, source: Any, info: Info, **kwargs: Any) -> bool:
        async with info.context.auth.db.read():
            return await super().has_permission(source, info, **kwargs)


@strawberry.type
class OwnSubscriptions:
    @strawberry.subscription(permission_classes=[Public])
    async def shaky(self) -> AsyncGenerator[Shaky, None]:
        for number in range(4):
            yield Shaky(number=number)

    @strawberry.subscription(permission_classes=[Public])
    async def surrogate(self) -> AsyncGenerator[str, None]:
        yield "\ud800"
        yield "good"

    @strawberry.subscription(permission_classes=[Public])
    async def forbids(self) -> AsyncGenerator[int, None]:
        yield 1
        raise Forbidden("more")

    @strawberry.subscription(permission_classes=[HasPermission("users:read")])
    async def readers_only(self) -> AsyncGenerator[int, None]:
        yield 1

    @strawberry.subscription(permission_classes=[Public])
    async def counted(self) -> AsyncGenerator[Counted, None]:
        yield Counted()
        yield Counted()

    @strawberry.subscription(permission_classes=[Public])
    async def breaks(self) -> AsyncGenerator[int, None]:
        yield 1
        raise ValueError("an internal detail")


@strawberry.type
class SlowSubscriptions:
    @strawberry.subscription(permission_classes=[Slow])
    async def hangs(self) -> AsyncGenerator[int, None]:
        yield 1

    @strawberry.subscription(permission_classes=[SlowDatabase])
    async def hangs_in_database(self) -> AsyncGenerator[int, None]:
        yield 1


@strawberry.type
class OwnMutations:
    @strawberry.mutation(permission_classes=[IsAuthenticated])
    async def pass_gate(self) -> bool | None:
        GATE.started.set()
        await GATE.open.wait()
        GATE.passed = True
        return True


@strawberry.type
class OwnQueries:
    @strawberry.field(permission_classes=[Public])
    async def never(self) -> bool | None:
        await asyncio.Event().wait()
        return True

    @strawberry.field(permission_classes=[Public])
    async def odd(self) -> str:
        return "\ud800"


@pytest.fixture
async def own(sqlite_url: str, tmp_path: Path, clock: ManualClock) -> AsyncGenerator[Api, None]:
    GATE.close()
    settings = make_settings(sqlite_url, tmp_path)
    async with serving(
        settings,
        clock,
        subscriptions=[OwnSubscriptions],
        mutations=[OwnMutations],
        queries=[OwnQueries],
    ) as api:
        yield api


@pytest.fixture
async def own_socket(own: Api) -> AsyncGenerator[Socket, None]:
    async with own.accepted_socket() as socket:
        yield await socket.initialise(await own.log_in(ADMIN))


async def test_event_with_null_data_does_not_end_the_subscription(own_socket: Socket) -> None:
    await own_socket.send(type="subscribe", id="1", payload={"query": "subscription{shaky{half}}"})
    received = [await own_socket.receive() for _ in range(5)]
    assert [message["type"] for message in received] == ["next"] * 4 + ["complete"]
    data = [message["payload"]["data"] for message in received[:4]]
    assert data == [{"shaky": {"half": 0}}, None, {"shaky": {"half": 1}}, None]
    codes = [e["extensions"]["code"] for e in received[1]["payload"]["errors"]]
    assert codes == ["INTERNAL_SERVER_ERROR"]
    assert "an internal detail" not in str(received)


async def test_context_state_is_cleared_for_each_event(own_socket: Socket) -> None:
    query = "subscription { counted { one: calls two: calls } }"
    await own_socket.send(type="subscribe", id="1", payload={"query": query})
    received = [(await own_socket.receive())["payload"]["data"] for _ in range(2)]
    assert received == [{"counted": {"one": 1, "two": 2}}] * 2


async def test_event_that_is_not_json_does_not_end_the_subscription(own_socket: Socket) -> None:
    await own_socket.send(type="subscribe", id="1", payload={"query": "subscription{surrogate}"})
    first, second, last = [await own_socket.receive() for _ in range(3)]
    assert first["payload"]["data"] is None
    assert first["payload"]["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert second["payload"] == {"data": {"surrogate": "good"}}
    assert last["type"] == "complete"


async def test_error_of_the_source_ends_the_subscription_with_its_code(own_socket: Socket) -> None:
    await own_socket.send(type="subscribe", id="1", payload={"query": "subscription{forbids}"})
    assert (await own_socket.receive())["type"] == "next"
    assert error_code(await own_socket.receive()) == "FORBIDDEN"
    assert "errors" not in await result(own_socket, ME)


async def test_result_that_is_not_json_is_masked(own_socket: Socket) -> None:
    message = await ask(own_socket, "{ odd }")
    assert "INTERNAL_SERVER_ERROR" in str(message)
    assert await own_socket.receive() == {"id": "1", "type": "complete"}


async def test_query_over_socket_has_the_time_limit_of_http(
    sqlite_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    settings = make_settings(sqlite_url, tmp_path)
    settings = settings.model_copy(update={"max_operation_seconds": 0.2})
    async with serving(settings, clock, queries=[OwnQueries]) as api:
        # Over REST, because the mutation `login` has the same time limit.
        form = {"grant_type": "password", "username": ALICE.username, "password": ALICE.password}
        token = (await api.http.post("/token", data=form)).json()["access_token"]
        async with api.accepted_socket() as socket:
            await socket.initialise(token)
            message = await ask(socket, "{ never }")
    assert error_code(message) == "LIMIT_EXCEEDED"
    assert message["payload"][0]["extensions"]["limit"] == "operation_seconds"


@pytest.mark.parametrize(
    ("document", "outcome"),
    [
        ("subscription { hangs }", "LIMIT_EXCEEDED"),
        ("subscription { hangsInDatabase }", (1013, "Try again later")),
    ],
)
async def test_subscription_start_has_a_time_limit(
    sqlite_url: str, tmp_path: Path, clock: ManualClock, document: str, outcome: Any
) -> None:
    settings = make_settings(sqlite_url, tmp_path)
    async with serving(settings, clock, subscriptions=[SlowSubscriptions]) as api:
        token = await api.log_in(ALICE)
        limited = settings.model_copy(update={"max_operation_seconds": 0.2})
    async with (
        serving(limited, clock, subscriptions=[SlowSubscriptions]) as api,
        api.accepted_socket() as socket,
    ):
        await socket.initialise(token)
        await socket.send(type="subscribe", id="1", payload={"query": document})
        if isinstance(outcome, str):
            assert error_code(await socket.receive()) == outcome
        else:
            assert await socket.wait_closed() == outcome


async def test_operations_of_one_socket_are_limited_together(own_socket: Socket) -> None:
    for number in range(5):
        await own_socket.send(type="subscribe", id=f"e{number}", payload={"query": EVENTS})
        await own_socket.send(type="subscribe", id=f"q{number}", payload={"query": "{ never }"})
    message = await ask(own_socket, ME, id_="more")
    assert (message["id"], error_code(message)) == ("more", "LIMIT_EXCEEDED")
    assert message["payload"][0]["extensions"]["maximum"] == 10


async def test_mutation_is_finished_after_its_client_disconnects(own: Api) -> None:
    token = await own.log_in(ALICE)
    async with own.accepted_socket() as socket:
        await socket.initialise(token)
        await socket.send(type="subscribe", id="1", payload={"query": "mutation { passGate }"})
        await GATE.started.wait()
        await socket.inbox.put({"type": "websocket.disconnect", "code": 1001})
        # After the socket is closed, so a cancelled mutation would not pass the gate.
        await socket.served.wait()
        GATE.open.set()
        await asyncio.sleep(0)
    assert GATE.passed


async def test_mutation_completed_by_its_client_is_finished_without_a_reply(
    own_socket: Socket,
) -> None:
    await own_socket.send(type="subscribe", id="1", payload={"query": "mutation { passGate }"})
    await GATE.started.wait()
    await own_socket.send(type="complete", id="1")
    await own_socket.send(type="ping")
    assert await own_socket.receive() == {"type": "pong"}
    GATE.open.set()
    assert await result(own_socket, ME) == {"data": {"me": {"username": "admin"}}}
    assert GATE.passed


async def test_permission_classes_hold_for_subscriptions(own: Api) -> None:
    async with own.accepted_socket() as socket:
        await socket.initialise(await own.log_in(ALICE))
        message = await ask(socket, "subscription { readersOnly }")
        assert message["type"] == "error"
        assert message["payload"][0]["extensions"] == {
            "code": "FORBIDDEN",
            "required": "users:read",
        }


async def test_subscription_sends_its_values_and_ends(own_socket: Socket) -> None:
    message = await ask(own_socket, "subscription { readersOnly }")
    assert message["payload"] == {"data": {"readersOnly": 1}}
    assert await own_socket.receive() == {"id": "1", "type": "complete"}


async def test_internal_error_of_a_subscription_is_masked(own_socket: Socket) -> None:
    assert (await ask(own_socket, "subscription { breaks }"))["payload"] == {"data": {"breaks": 1}}
    message = await own_socket.receive()
    assert error_code(message) == "INTERNAL_SERVER_ERROR"
    assert "an internal detail" not in str(message)


async def test_query_during_an_outage_sends_an_error_and_keeps_the_socket_open(
    sqlite_api: Api, socket: Socket
) -> None:
    with sqlite_api.without_database():
        message = await ask(socket, "{ me { sessions { nodes { id } } } }")
    codes = json.dumps(message)
    assert "SERVICE_UNAVAILABLE" in codes
    if message["type"] == "next":
        assert (await socket.receive())["type"] == "complete"
    assert "errors" not in await result(socket, ME)
