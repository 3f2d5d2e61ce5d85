"""Trusted documents."""

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import orjson
import pytest

from server.app import create_app
from server.rest.account_pages import DOCUMENTS
from server.settings import ConfigurationError, Settings, Switch
from tests.accounts import ALICE
from tests.api import LOGIN, Api, denials, serving
from tests.clock import ManualClock
from tests.conftest import make_settings

ME, TWO, EVENTS, LOG_IN = "a1b2", "c3d4", "e5f6", "0789"
MANIFEST = {
    ME: "query Me { me { username } }",
    TWO: "query One { __typename } query Other { other: __typename }",
    LOG_IN: LOGIN,
    EVENTS: "subscription Events { sessionEvents { kind } }",
}


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "documents.json"
    path.write_bytes(orjson.dumps(MANIFEST))
    return path


@pytest.fixture
def trusting(sqlite_url: str, tmp_path: Path, manifest: Path) -> Settings:
    return make_settings(sqlite_url, tmp_path).model_copy(update={"trusted_documents": manifest})


def strict(settings: Settings, clock: ManualClock) -> AbstractAsyncContextManager[Api]:
    """A server that runs trusted documents only."""
    return serving(settings.model_copy(update={"trusted_documents_only": Switch.ON}), clock)


async def send(api: Api, body: dict[str, Any], token: str | None = None) -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return await api.http.post("/graphql", json=body, headers=headers)


@pytest.mark.parametrize("document_id", [ME, f"sha256:{ME}"])
async def test_trusted_document_runs_by_its_id(
    trusting: Settings, clock: ManualClock, document_id: str
) -> None:
    async with serving(trusting, clock) as api:
        token = await api.log_in(ALICE)
        reply = await send(api, {"documentId": document_id}, token)
    assert reply.json() == {"data": {"me": {"username": "alice"}}}


async def test_trusted_document_runs_over_get(trusting: Settings, clock: ManualClock) -> None:
    async with serving(trusting, clock) as api:
        parameters = {"documentId": TWO, "operationName": "Other"}
        reply = await api.http.get("/graphql", params=parameters)
    assert reply.json() == {"data": {"other": "Query"}}


async def test_unknown_document_id_is_refused(trusting: Settings, clock: ManualClock) -> None:
    async with serving(trusting, clock) as api:
        reply = await send(api, {"documentId": "nothing"})
    assert denials(reply.json()) == [{"code": "PERSISTED_QUERY_NOT_FOUND"}]


@pytest.mark.parametrize("name", [None, "Nothing"])
async def test_trusted_document_with_several_operations_needs_an_operation_name(
    trusting: Settings, clock: ManualClock, name: str | None
) -> None:
    async with serving(trusting, clock) as api:
        reply = await send(api, {"documentId": TWO, "operationName": name})
    assert denials(reply.json()) == [{"code": "OPERATION_RESOLUTION_FAILURE"}]


@pytest.mark.parametrize("document_id", [7, ["a"], {}])
async def test_document_id_of_a_wrong_type_is_refused(sqlite_api: Api, document_id: object) -> None:
    reply = await send(sqlite_api, {"documentId": document_id})
    assert (reply.status_code, denials(reply.json())) == (400, [{"code": "BAD_REQUEST"}])


async def test_document_id_together_with_a_document_is_refused(sqlite_api: Api) -> None:
    reply = await send(sqlite_api, {"documentId": ME, "query": "{ __typename }"})
    assert (reply.status_code, denials(reply.json())) == (400, [{"code": "BAD_REQUEST"}])


async def test_other_documents_run_without_strict_mode(
    trusting: Settings, clock: ManualClock
) -> None:
    async with serving(trusting, clock) as api:
        assert await api.data("{ __typename }") == {"__typename": "Query"}


async def test_strict_mode_refuses_other_documents(trusting: Settings, clock: ManualClock) -> None:
    async with strict(trusting, clock) as api:
        for query in ("{ __typename }", MANIFEST[ME], "nonsense"):
            reply = await send(api, {"query": query})
            assert (reply.status_code, denials(reply.json())) == (
                403,
                [{"code": "DOCUMENT_NOT_TRUSTED"}],
            )
        assert (await send(api, {"documentId": ME})).status_code == 200


async def test_strict_mode_holds_for_sockets(trusting: Settings, clock: ManualClock) -> None:
    async with serving(trusting, clock) as lenient:
        token = await lenient.log_in(ALICE)
    async with strict(trusting, clock) as api, api.accepted_socket() as socket:
        await socket.initialise(token)
        await socket.send(type="subscribe", id="1", payload={"query": MANIFEST[EVENTS]})
        refusal = await socket.receive()
        assert refusal["type"] == "error"
        assert refusal["payload"][0]["extensions"] == {"code": "DOCUMENT_NOT_TRUSTED"}


async def test_subscription_runs_by_its_document_id(trusting: Settings, clock: ManualClock) -> None:
    async with strict(trusting, clock) as api, api.accepted_socket() as socket:
        await socket.initialise(await log_in_by_id(api))
        await socket.send(type="subscribe", id="1", payload={"documentId": EVENTS})
        event = asyncio.create_task(socket.receive())
        # The server does not report when the subscription has started.
        while not event.done():
            await log_in_by_id(api)
            await asyncio.wait({event}, timeout=0.2)
        assert event.result()["type"] == "next"


async def log_in_by_id(api: Api) -> str:
    given = {"username": ALICE.username, "password": ALICE.password}
    reply = await send(api, {"documentId": LOG_IN, "variables": {"input": given}})
    return str(reply.json()["data"]["login"]["tokens"]["accessToken"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is not JSON"),
        (b"[]", "is not of the form"),
        (b'{"a": 1}', "is not of the form"),
        (b'{"a": "{"}', "the document a is not valid: Syntax Error"),
        (b'{"a": "{ nothing }"}', "the document a cannot run: Cannot query field"),
        (b'{"a": "fragment F on User { id }"}', "the document a cannot run: .* no operation"),
    ],
)
def test_invalid_manifest_prevents_startup(
    trusting: Settings, manifest: Path, content: bytes, message: str
) -> None:
    manifest.write_bytes(content)
    with pytest.raises(ConfigurationError, match=f"POSTERN_TRUSTED_DOCUMENTS: .*{message}"):
        create_app(trusting)


def test_missing_manifest_prevents_startup(trusting: Settings, manifest: Path) -> None:
    manifest.unlink()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        create_app(trusting)


def test_strict_mode_without_a_manifest_prevents_startup(sqlite_url: str, tmp_path: Path) -> None:
    settings = make_settings(sqlite_url, tmp_path).model_copy(
        update={"trusted_documents_only": Switch.ON}
    )
    with pytest.raises(ConfigurationError, match="POSTERN_TRUSTED_DOCUMENTS_ONLY=on needs"):
        create_app(settings)


async def test_flood_of_other_documents_does_not_evict_trusted_ones(
    trusting: Settings, clock: ManualClock
) -> None:
    async with serving(trusting, clock) as api:
        before = await send(api, {"documentId": ME})
        for number in range(300):
            await api.ask(f"{{ a{number}: __typename }}")
        assert (await send(api, {"documentId": ME})).json() == before.json()


# Postern's own pages


@pytest.mark.parametrize("mutation", DOCUMENTS)
async def test_account_pages_work_in_strict_mode(
    trusting: Settings, clock: ManualClock, mutation: str
) -> None:
    async with strict(trusting, clock) as api:
        page = (await api.http.get("/account/verify-email")).text
        (line,) = [line for line in page.splitlines() if "const documents = " in line]
        sent = orjson.loads(line.partition("= ")[2].rstrip(";"))[mutation]
        fields = {"token": "x"}
        if mutation == "register":
            fields = {"username": "a", "email": "b", "password": "c", "invitation": "d"}
        if mutation == "resetPassword":
            fields |= {"newPassword": "y"}
        reply = await send(api, {"query": sent, "variables": {"input": fields}})
        assert reply.status_code == 200
        assert reply.json()["data"][mutation]["errors"]


async def test_only_the_exact_text_of_an_account_page_is_trusted(
    trusting: Settings, clock: ManualClock
) -> None:
    async with strict(trusting, clock) as api:
        for text in DOCUMENTS.values():
            for query in (f"{text} ", text.replace("message", "code")):
                reply = await send(api, {"query": query})
                assert denials(reply.json()) == [{"code": "DOCUMENT_NOT_TRUSTED"}]


async def test_account_page_documents_are_refused_if_the_pages_are_not_served(
    trusting: Settings, clock: ManualClock
) -> None:
    own = trusting.model_copy(update={"account_url": "https://app.example.com/account"})
    async with strict(own, clock) as api:
        reply = await send(api, {"query": DOCUMENTS["verifyEmail"]})
    assert denials(reply.json()) == [{"code": "DOCUMENT_NOT_TRUSTED"}]


async def test_explorer_is_off_in_strict_mode(trusting: Settings, clock: ManualClock) -> None:
    async with strict(trusting, clock) as api:
        reply = await api.http.get("/graphql", headers={"Accept": "text/html"})
    assert "The explorer is off" in reply.text
    assert "script" not in reply.text


async def test_document_id_with_an_empty_text_runs(trusting: Settings, clock: ManualClock) -> None:
    # graphql-ws refuses to send a message without a text.
    async with strict(trusting, clock) as api:
        reply = await send(api, {"documentId": TWO, "query": "", "operationName": "One"})
    assert reply.json() == {"data": {"__typename": "Query"}}
