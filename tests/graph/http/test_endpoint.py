"""GraphQL over HTTP: invalid requests get an error with a code, never an internal error."""

import asyncio
import gc
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import strawberry
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auth.errors import TokenMissing
from graph.permissions import Public
from server.settings import Switch
from tests.api import Api, denials, serving
from tests.clock import ManualClock
from tests.conftest import make_settings

JSON = "application/json"
RESPONSE_JSON = "application/graphql-response+json"
ACCEPT_RESPONSE_JSON = {"Accept": RESPONSE_JSON}
ASK = '{"query": "{ me { id } }"}'
PROPERTY = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def code(reply: Any) -> str:
    return str(reply.json()["errors"][0]["extensions"]["code"])


async def send(api: Api, body: str | bytes, **headers: str) -> Any:
    headers = {"content-type": JSON, **{n.replace("_", "-"): v for n, v in headers.items()}}
    return await api.http.post("/graphql", content=body, headers=headers)


INVALID_BODIES: dict[str, str | bytes] = {
    "empty": "",
    "null": "null",
    "text": '"x"',
    "number": "1",
    "empty list": "[]",
    "batch": f"[{ASK}, {ASK}]",
    "list of null": "[null]",
    "deep lists": "[" * 50_000,
    "deep objects": '{"query":' * 5_000,
    "huge number": '{"query": ' + "9" * 5000 + "}",
    "NaN": '{"query": NaN}',
    "bad UTF-8": b'{"query": "\xff\xfe"}',
    "half a surrogate": '{"query": "\\ud800"}',
    "no query": "{}",
    "query null": '{"query": null}',
    "query empty": '{"query": ""}',
    "query a list": '{"query": ["{ me }"]}',
    "variables a number": '{"query": "{ me { id } }", "variables": 7}',
    "variables a list": '{"query": "{ me { id } }", "variables": [1]}',
    "operationName a number": '{"query": "{ me { id } }", "operationName": 7}',
    "extensions text": '{"query": "{ me { id } }", "extensions": "x"}',
}


@pytest.mark.parametrize("body", INVALID_BODIES)
async def test_invalid_body_is_bad_request(sqlite_api: Api, body: str) -> None:
    reply = await send(sqlite_api, INVALID_BODIES[body])
    assert (reply.status_code, code(reply)) == (400, "BAD_REQUEST")
    assert "data" not in reply.json()


INVALID_DOCUMENTS = {
    "blank": (" \n ", "BAD_REQUEST"),
    "comment": ("# nothing", "GRAPHQL_PARSE_FAILED"),
    "not GraphQL": ("SELECT * FROM users", "GRAPHQL_PARSE_FAILED"),
    "unclosed": ("{ me { id }", "GRAPHQL_PARSE_FAILED"),
    "NUL": ("{ me\0 }", "GRAPHQL_PARSE_FAILED"),
    "fragment only": ("fragment F on User { id }", "OPERATION_RESOLUTION_FAILURE"),
    "unknown field": ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
    "unknown type": ("{ ... on Nothing { id } }", "GRAPHQL_VALIDATION_FAILED"),
    "fragment cycle": (
        "{ me { ...F } } fragment F on User { ...F }",
        "GRAPHQL_VALIDATION_FAILED",
    ),
    "several operations": ("query A { me { id } } query B { me { id } }", None),
    "too many tokens": ("{ " + "me { id } " * 300 + "}", "LIMIT_EXCEEDED"),
    "deep nesting": ("{ me " * 400 + "}" * 400, None),
    "type definition": ("type Query { x: Int }", "OPERATION_RESOLUTION_FAILURE"),
}


@pytest.mark.parametrize("document", INVALID_DOCUMENTS)
async def test_invalid_document_is_refused_with_code(sqlite_api: Api, document: str) -> None:
    text, wanted = INVALID_DOCUMENTS[document]
    reply = await sqlite_api.post(text, headers=ACCEPT_RESPONSE_JSON)
    assert reply.status_code == 400
    assert "data" not in reply.json()
    assert wanted in {None, code(reply)}


async def test_document_with_several_operations_requires_operation_name(sqlite_api: Api) -> None:
    text = "query A { __typename } query B { b: __typename }"
    assert code(await sqlite_api.post(text)) == "OPERATION_RESOLUTION_FAILURE"
    named = await send(sqlite_api, json.dumps({"query": text, "operationName": "B"}))
    assert named.json() == {"data": {"b": "Query"}}
    unknown = await send(sqlite_api, json.dumps({"query": text, "operationName": "C"}))
    assert code(unknown) == "OPERATION_RESOLUTION_FAILURE"


@pytest.mark.parametrize(
    ("accept", "status", "media_type"),
    [
        (None, 200, JSON),
        ("*/*", 200, JSON),
        (JSON, 200, JSON),
        (f"{RESPONSE_JSON},{JSON};q=0.9", 400, RESPONSE_JSON),
        ("text/event-stream, multipart/mixed, application/*", 200, JSON),
        ("text/html", 406, JSON),
        ("image/png", 406, JSON),
    ],
)
async def test_status_depends_on_media_type(
    sqlite_api: Api, accept: str | None, status: int, media_type: str
) -> None:
    headers = {"accept": accept} if accept else {"accept": ""}
    reply = await send(sqlite_api, '{"query": "{ nothing }"}', **headers)
    assert reply.status_code == status
    assert reply.headers["content-type"] == f"{media_type}; charset=utf-8"


async def test_denied_field_has_status_200(sqlite_api: Api) -> None:
    reply = await sqlite_api.post("{ me { id } }", headers=ACCEPT_RESPONSE_JSON)
    assert (reply.status_code, reply.json()["data"]) == (200, {"me": None})


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"],
)
async def test_content_types_of_html_forms_are_refused(sqlite_api: Api, content_type: str) -> None:
    reply = await send(sqlite_api, ASK, content_type=content_type)
    assert (reply.status_code, code(reply)) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize("content_type", [JSON, f"{JSON}; charset=utf-8", "APPLICATION/JSON"])
async def test_json_content_type_is_accepted(sqlite_api: Api, content_type: str) -> None:
    reply = await send(sqlite_api, ASK, content_type=content_type)
    assert reply.status_code == 200


async def test_get_runs_query(sqlite_api: Api) -> None:
    query = "query Q($a: String) { user(id: $a) { id } }"
    parameters = {"query": "{ __typename }", "variables": "{}", "operationName": ""}
    reply = await sqlite_api.http.get("/graphql", params=parameters)
    assert reply.json() == {"data": {"__typename": "Query"}}
    assert (await sqlite_api.http.get("/graphql", params={"query": query})).status_code == 200


async def test_get_with_mutation_is_refused(sqlite_api: Api) -> None:
    parameters = {"query": "mutation { logout { endedSessions } }"}
    reply = await sqlite_api.http.get("/graphql", params=parameters)
    assert (reply.status_code, reply.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    "query_string", ["", "query=", "query=a&query=b", "query=%ff", "query={me{id}}&variables=x"]
)
async def test_invalid_query_string_is_bad_request(sqlite_api: Api, query_string: str) -> None:
    reply = await sqlite_api.http.get(f"/graphql?{query_string}")
    assert (reply.status_code, code(reply)) == (400, "BAD_REQUEST")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_other_methods_are_refused(sqlite_api: Api, method: str) -> None:
    reply = await sqlite_api.http.request(method, "/graphql")
    assert (reply.status_code, reply.headers["allow"]) == (405, "GET, HEAD, POST")


async def test_subscription_over_http_is_refused(sqlite_api: Api) -> None:
    reply = await sqlite_api.post("subscription { x }", headers=ACCEPT_RESPONSE_JSON)
    assert reply.status_code == 400


@pytest.mark.parametrize("declared", [True, False])
async def test_body_over_limit_is_refused(sqlite_api: Api, declared: bool) -> None:
    body = b'{"query": "' + b"a" * 100_000 + b'"}'

    async def chunks() -> Any:
        for start in range(0, len(body), 1000):
            yield body[start : start + 1000]

    content: Any = body if declared else chunks()
    reply = await sqlite_api.http.post("/graphql", content=content, headers={"content-type": JSON})
    assert reply.status_code == 413


async def test_apollo_persisted_query_is_not_supported(sqlite_api: Api) -> None:
    body = {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "x"}}}
    reply = await send(sqlite_api, json.dumps(body))
    assert code(reply) == "PERSISTED_QUERY_NOT_SUPPORTED"
    assert reply.json()["errors"][0]["message"] == "PersistedQueryNotSupported"


async def test_unknown_body_fields_are_ignored(sqlite_api: Api) -> None:
    body = {"query": "{ __typename }", "more": [1], "extensions": {"x": 1}}
    assert (await send(sqlite_api, json.dumps(body))).json() == {"data": {"__typename": "Query"}}


@PROPERTY
@given(body=st.binary(max_size=300))
async def test_random_bytes_are_bad_request(sqlite_api: Api, body: bytes) -> None:
    reply = await send(sqlite_api, body)
    assert reply.status_code == 400
    assert reply.json()["errors"]


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@PROPERTY
@given(variables=JSON_VALUES)
async def test_random_variables_are_no_internal_error(sqlite_api: Api, variables: Any) -> None:
    query = """mutation L($input: LoginInput!) { login(input: $input) { errors { code } } }"""
    body = json.dumps({"query": query, "variables": {"input": variables}})
    reply = await send(sqlite_api, body)
    assert reply.status_code < 500


WORDS = [
    "{",
    "}",
    "(",
    ")",
    "me",
    "users",
    "id",
    ":",
    "first",
    "$",
    "...",
    "on",
    "User",
    '"x"',
    "1",
]


@PROPERTY
@given(words=st.lists(st.sampled_from(WORDS), max_size=25))
async def test_random_document_is_no_internal_error(sqlite_api: Api, words: list[str]) -> None:
    reply = await sqlite_api.post("query " + " ".join(words))
    assert reply.status_code < 500
    assert "INTERNAL_SERVER_ERROR" not in {d["code"] for d in denials(reply.json())}


@PROPERTY
@given(text=st.text(max_size=200))
async def test_login_with_random_username_is_invalid_credentials(
    sqlite_api: Api, text: str
) -> None:
    payload = await sqlite_api.try_login(text.encode(errors="ignore").decode(), "wrong")
    assert [error["code"] for error in payload["errors"]] == ["INVALID_CREDENTIALS"]


async def test_reply_has_cache_control_no_store(sqlite_api: Api) -> None:
    assert (await sqlite_api.post("{ __typename }")).headers["cache-control"] == "no-store"


# Custom resolvers


@strawberry.type
class Own:
    @strawberry.field(permission_classes=[Public])
    async def sleeps(self) -> str:
        await asyncio.sleep(60)
        return "awake"

    @strawberry.field(permission_classes=[Public])
    def half_a_pair(self) -> str:
        return "\ud800"


async def test_operation_over_time_limit_is_refused(
    sqlite_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    limited = make_settings(sqlite_url, tmp_path).model_copy(update={"max_operation_seconds": 0.05})
    async with serving(limited, clock, queries=[Own]) as api:
        reply = await api.post("{ sleeps }")
    assert reply.status_code == 503
    assert denials(reply.json()) == [
        {"code": "LIMIT_EXCEEDED", "limit": "operation_seconds", "maximum": 0.05}
    ]


async def test_result_that_is_not_json_is_masked_internal_error(
    sqlite_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    async with serving(make_settings(sqlite_url, tmp_path), clock, queries=[Own]) as api:
        reply = await api.post("{ halfAPair }")
    assert (reply.status_code, code(reply)) == (500, "INTERNAL_SERVER_ERROR")
    assert "surrogate" not in reply.text


async def test_body_over_limit_error_has_limit_and_size(sqlite_api: Api) -> None:
    reply = await send(sqlite_api, b" " * 100_001)
    assert reply.status_code == 413
    assert denials(reply.json()) == [
        {
            "code": "LIMIT_EXCEEDED",
            "limit": "body_bytes",
            "maximum": 100_000,
            "found": 100_001,
        }
    ]


async def test_compressed_body_is_refused(sqlite_api: Api) -> None:
    reply = await send(sqlite_api, gzip.compress(ASK.encode()), content_encoding="gzip")
    assert (reply.status_code, code(reply)) == (415, "UNSUPPORTED_MEDIA_TYPE")


async def test_denial_creates_no_reference_cycle(sqlite_api: Api) -> None:
    await sqlite_api.ask("{ me { id } }")
    gc.collect()
    gc.disable()
    try:
        await sqlite_api.ask("{ me { id } }")
        assert not [kept for kept in gc.get_objects() if isinstance(kept, TokenMissing)]
    finally:
        gc.enable()


@pytest.mark.parametrize(("explorer", "hint"), [(Switch.ON, True), (Switch.OFF, False)])
async def test_get_without_parameters_mentions_the_explorer_if_it_is_on(
    sqlite_url: str, tmp_path: Path, clock: ManualClock, explorer: Switch, hint: bool
) -> None:
    chosen = make_settings(sqlite_url, tmp_path).model_copy(update={"explorer": explorer})
    async with serving(chosen, clock) as api:
        reply = await api.http.get("/graphql")
    assert reply.status_code == 400
    message = reply.json()["errors"][0]["message"]
    assert ("open this address in a browser" in message) is hint
