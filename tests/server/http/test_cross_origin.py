"""CORS: preflight requests, allowed headers and `Vary`."""

from typing import Any

import pytest

from server.http.cross_origin import allowed_names
from server.settings import Settings
from tests.api import Api, serving
from tests.clock import ManualClock

ORIGIN = "https://app.example.com"
APP = "capacitor://localhost"
OTHER = "https://evil.example"
ASK = {"query": "{ __typename }"}


def listing(settings: Settings, *origins: str) -> Settings:
    return settings.model_copy(update={"cors_origins": origins})


async def preflight(api: Api, requested: str | None, origin: str = ORIGIN) -> Any:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    if requested is not None:
        headers["Access-Control-Request-Headers"] = requested
    return await api.http.options("/graphql", headers=headers)


def allowed(reply: Any) -> set[str]:
    return set(reply.headers["access-control-allow-headers"].split(", "))


@pytest.mark.parametrize(
    "requested",
    [
        "authorization,content-type",
        "x-request-id",
        "apollographql-client-name,apollographql-client-version",
        "apollo-require-preflight,x-apollo-operation-name,x-apollo-operation-id",
        "baggage,sentry-trace,traceparent,tracestate",
        "x-datadog-origin,x-datadog-parent-id,x-datadog-sampling-priority,x-datadog-trace-id",
        "idempotency-key",
        "graphql-client-name, graphql-client-version",
        "X-Requested-With",
    ],
)
async def test_preflight_allows_the_requested_headers_of_a_listed_origin(
    settings: Settings, clock: ManualClock, requested: str
) -> None:
    async with serving(listing(settings, ORIGIN), clock) as api:
        reply = await preflight(api, requested)
    assert reply.status_code == 200
    assert reply.headers["access-control-allow-origin"] == ORIGIN
    names = {name.strip().lower() for name in requested.split(",")}
    assert allowed(reply) == names
    assert "Access-Control-Request-Headers" in reply.headers["vary"]


@pytest.mark.parametrize(
    "requested",
    [
        b"",
        b"*",
        b"x-a\r\nset-cookie: b",
        b"x a",
        b"x-\xff",
        b"x" * 65,
        b",".join(b"x-%d" % i for i in range(65)),
        b"x-a," * 600,
    ],
)
def test_preflight_ignores_malformed_and_too_long_header_names(requested: bytes) -> None:
    assert allowed_names(requested) == b"authorization, content-type"


async def test_preflight_of_another_origin_is_refused(
    settings: Settings, clock: ManualClock
) -> None:
    async with serving(listing(settings, ORIGIN), clock) as api:
        reply = await preflight(api, "x-request-id", OTHER)
    assert reply.status_code == 403
    assert not [name for name in reply.headers if name.startswith("access-control")]


@pytest.mark.parametrize("origin", [ORIGIN, OTHER, None])
@pytest.mark.parametrize(
    "path", ["/.well-known/jwks.json", "/healthz", "/graphql", "/nothing", "/openapi.json", "/docs"]
)
async def test_every_reply_varies_by_origin(
    settings: Settings, clock: ManualClock, path: str, origin: str | None
) -> None:
    headers = {} if origin is None else {"Origin": origin}
    async with serving(listing(settings, ORIGIN), clock) as api:
        reply = await api.http.get(path, headers=headers)
    assert "origin" in reply.headers["vary"].lower().split(", ")


async def test_errors_of_the_server_are_readable_by_listed_origins(
    settings: Settings, clock: ManualClock
) -> None:
    headers = {"Origin": ORIGIN}
    async with serving(listing(settings, ORIGIN), clock) as api:
        with api.without_database():
            form = {"grant_type": "password", "username": "a", "password": "b"}
            away = await api.http.post("/token", data=form, headers=headers)
        named = await api.http.get("/users/me", headers={**headers, "Host": "evil.example"})
    assert (away.status_code, named.status_code) == (503, 400)
    for reply in (away, named):
        assert reply.headers["access-control-allow-origin"] == ORIGIN
        exposed = reply.headers["access-control-expose-headers"]
        assert {"Retry-After", "X-Request-Id", "WWW-Authenticate"} <= set(exposed.split(", "))


@pytest.mark.parametrize("origin", [APP, "ionic://localhost", "tauri://localhost"])
async def test_app_in_a_web_view_can_use_the_cookie(
    settings: Settings, clock: ManualClock, origin: str
) -> None:
    login = """mutation { login(input: {username: "alice", password: "correct horse battery",
        delivery: COOKIE}) { tokens { accessToken } } }"""
    refresh = "mutation { refreshTokens(input: {}) { tokens { accessToken } } }"
    async with serving(listing(settings, origin), clock) as api:
        assert (await preflight(api, "authorization", origin)).status_code == 200
        await api.post(login, headers={"Origin": origin})
        reply = await api.post(refresh, headers={"Origin": origin})
        assert reply.json()["data"]["refreshTokens"]["tokens"]
        assert reply.headers["access-control-allow-origin"] == origin
        async with api.accepted_socket(origin=origin):
            pass
