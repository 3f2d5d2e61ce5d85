"""The middleware of every request: host check, request ID, security headers, CORS."""

from typing import Any

import pytest

from server.http.middleware import host_name
from server.settings import Settings
from tests.api import Api, serving
from tests.clock import ManualClock

ORIGIN = "https://app.example.com"
ASK = {"query": "{ __typename }"}


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:1", "[::1]:8000"])
async def test_allowed_host_is_served(sqlite_api: Api, host: str) -> None:
    assert (await sqlite_api.http.get("/healthz", headers={"Host": host})).status_code == 200
    reply = await sqlite_api.http.post("/graphql", json=ASK, headers={"Host": host})
    assert reply.status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "", "localhost.evil.example", "localhost@evil", "evil.example@localhost"),
        # Programs parse different names from these, so all of them are refused.
        *("localhost:8000@evil.example", "localhost:evil.example", "localhost:80/evil.example"),
        *("localhost:8000:80", "[::1]evil.example", "[::1].evil.example:80", "[::1]@evil", "[::1"),
    ],
)
async def test_other_host_is_refused(sqlite_api: Api, host: str) -> None:
    reply = await sqlite_api.http.post("/graphql", json=ASK, headers={"Host": host})
    assert reply.status_code == 400
    detail = "Host header not allowed. Add the host to POSTERN_ALLOWED_HOSTS."
    assert reply.json() == {"detail": detail}


@pytest.mark.parametrize(
    "hosts",
    [
        ("localhost:8000", "evil.example"),
        ("localhost", "localhost"),
        ("evil.example", "localhost:8000"),
    ],
)
async def test_two_host_headers_are_refused(sqlite_api: Api, hosts: tuple[str, str]) -> None:
    headers = [("Host", host) for host in hosts]
    reply = await sqlite_api.http.post("/graphql", json=ASK, headers=headers)
    assert reply.status_code == 400


async def test_too_long_host_is_refused(sqlite_api: Api) -> None:
    host = "localhost:" + "8" * 300
    reply = await sqlite_api.http.post("/graphql", json=ASK, headers={"Host": host})
    assert reply.status_code == 400


@pytest.mark.parametrize(
    ("host", "name"), [("A.b:80", "a.b"), ("[::1]:80", "::1"), ("a:", "a"), ("[::1", ""), ("", "")]
)
def test_host_name_is_the_name_without_the_port(host: str, name: str) -> None:
    assert host_name(host.encode()) == name


@pytest.mark.parametrize("path", ["/graphql/", "/token/", "/users/me/", "//evil.example"])
async def test_path_with_an_extra_slash_is_not_found(sqlite_api: Api, path: str) -> None:
    reply = await sqlite_api.http.get(f"http://localhost:8000{path}")
    assert (reply.status_code, reply.headers.get("location")) == (404, None)


REPLIES: dict[str, dict[str, Any]] = {
    "ok": {"method": "POST", "url": "/graphql", "json": ASK},
    "bad request": {"method": "POST", "url": "/graphql", "json": []},
    "not found": {"method": "GET", "url": "/nothing"},
    "not allowed": {"method": "DELETE", "url": "/token"},
    "unauthorised": {"method": "GET", "url": "/users/me"},
    "other host": {"method": "GET", "url": "/", "headers": {"Host": "evil.example"}},
    "page": {"method": "GET", "url": "/graphql", "headers": {"Accept": "text/html"}},
}


@pytest.mark.parametrize("kind", REPLIES)
async def test_every_reply_has_the_security_headers(sqlite_api: Api, kind: str) -> None:
    headers = (await sqlite_api.http.request(**REPLIES[kind])).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "charset" in headers["content-type"] or headers["content-type"] == "application/json"
    assert "server" not in headers
    assert headers["x-request-id"]


async def test_pages_have_more_security_headers(sqlite_api: Api) -> None:
    headers = (await sqlite_api.http.request(**REPLIES["page"])).headers
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cross-origin-opener-policy"] == "same-origin"


@pytest.mark.parametrize(
    ("given", "kept"), [("abc-1.2_3", True), ("a" * 65, False), ("a b", False), ("", False)]
)
async def test_valid_request_id_is_kept(sqlite_api: Api, given: str, kept: bool) -> None:
    reply = await sqlite_api.http.get("/healthz", headers={"X-Request-Id": given})
    assert (reply.headers["x-request-id"] == given) == kept


async def test_internal_error_outside_graphql_is_masked(
    sqlite_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_self: object) -> None:
        raise RuntimeError("SELECT secret FROM safe")

    monkeypatch.setattr("auth.tokens.keys.KeyRing.jwks", fail)
    reply = await sqlite_api.http.get("/.well-known/jwks.json")
    assert reply.status_code == 500
    assert "SELECT" not in reply.text
    assert reply.headers["x-request-id"] in reply.text


async def preflight(api: Api, origin: str) -> Any:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    return await api.http.options("/graphql", headers=headers)


async def test_listed_origin_gets_cors_headers(settings: Settings, clock: ManualClock) -> None:
    listed = settings.model_copy(update={"cors_origins": (ORIGIN,)})
    async with serving(listed, clock) as api:
        assert (await preflight(api, ORIGIN)).headers["access-control-allow-origin"] == ORIGIN
        reply = await api.http.post("/graphql", json=ASK, headers={"Origin": ORIGIN})
    assert reply.headers["access-control-allow-origin"] == ORIGIN
    assert "Origin" in reply.headers["vary"]
    assert "WWW-Authenticate" in reply.headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", f"{ORIGIN}.evil.example", "null", "https://app.example.com:1"],
)
async def test_other_origin_gets_no_cors_headers(
    settings: Settings, clock: ManualClock, origin: str
) -> None:
    listed = settings.model_copy(update={"cors_origins": (ORIGIN,)})
    async with serving(listed, clock) as api:
        before = await preflight(api, origin)
        reply = await api.http.post("/graphql", json=ASK, headers={"Origin": origin})
    assert "access-control-allow-origin" not in {**before.headers, **reply.headers}
