"""HEAD returns the headers of the reply to a GET, at every path."""

from typing import Any

import pytest
from pydantic import SecretStr
from starlette.routing import Route

from server.settings import Settings, Switch
from tests.accounts import ALICE
from tests.api import Api, serving
from tests.clock import ManualClock
from tests.faults.cluster import one_of_cluster
from tests.faults.wire import head, wire

METRICS_TOKEN = "a metrics token for tests, long enough"
# These differ between two replies.
CHANGING = {"x-request-id", "content-security-policy", "content-length", "date", "last-modified"}
QUERY = "/graphql?query=%7B__typename%7D"


def addresses(api: Api) -> list[str]:
    """Returns every path of the server that answers GET."""
    pages = {route.path for route in api.app.routes if isinstance(route, Route)}
    documented = {path for path, acts in api.app.openapi()["paths"].items() if "get" in acts}
    hidden = {"/.well-known/openid-configuration"}
    return sorted(path for path in pages | documented | hidden if "{" not in path)


async def heads_of(api: Api, path: str, **headers: str) -> tuple[Any, Any]:
    got = await api.http.get(path, headers=headers)
    return got, await api.http.head(path, headers=headers)


@pytest.fixture
def shown(settings: Settings) -> Settings:
    """Settings that turn on all optional paths."""
    return settings.model_copy(
        update={"metrics_token": SecretStr(METRICS_TOKEN), "explorer": Switch.ON}
    )


async def test_head_is_answered_as_get_at_every_address(
    shown: Settings, clock: ManualClock
) -> None:
    async with serving(shown, clock) as api:
        paths = addresses(api)
        assert {"/healthz", "/readyz", "/.well-known/jwks.json", "/users/me"} <= set(paths)
        for path in [*paths, QUERY, "/graphql", "/nothing"]:
            got, headed = await heads_of(api, path)
            assert headed.status_code == got.status_code, path
            assert headed.content == b"", path
            assert headed.headers.keys() == got.headers.keys(), path
            for name in got.headers.keys() - CHANGING:
                assert headed.headers[name] == got.headers[name], (path, name)


async def test_head_with_a_token_is_answered_as_get(settings: Settings, clock: ManualClock) -> None:
    counted = settings.model_copy(update={"metrics_token": SecretStr(METRICS_TOKEN)})
    async with serving(counted, clock) as api:
        token = await api.log_in(ALICE)
        for path, bearer in [("/users/me", token), ("/metrics", METRICS_TOKEN)]:
            got, headed = await heads_of(api, path, Authorization=f"Bearer {bearer}")
            assert (got.status_code, headed.status_code, headed.content) == (200, 200, b"")


async def test_head_of_the_explorer_page_is_answered(sqlite_api: Api) -> None:
    got, headed = await heads_of(sqlite_api, "/graphql", Accept="text/html")
    assert (got.status_code, headed.status_code, headed.content) == (200, 200, b"")
    assert headed.headers["content-length"] == got.headers["content-length"]
    assert headed.headers["content-type"].startswith("text/html")


async def test_head_never_runs_a_mutation(sqlite_api: Api) -> None:
    query = "mutation{logout{endedSessions}}"
    reply = await sqlite_api.http.head("/graphql", params={"query": query})
    assert reply.status_code in {400, 405}


@pytest.mark.parametrize("path", ["/token", "/revoke", "/introspect"])
async def test_head_where_only_post_is_allowed_is_refused(sqlite_api: Api, path: str) -> None:
    assert (await sqlite_api.http.head(path)).status_code == 405


async def test_method_not_allowed_lists_head_with_get(shown: Settings, clock: ManualClock) -> None:
    async with serving(shown, clock) as api:
        for path in [*addresses(api), "/graphql"]:
            refused = await api.http.delete(path)
            assert refused.status_code == 405, path
            allowed = refused.headers["allow"].split(", ")
            assert {"GET", "HEAD"} <= set(allowed), path
            assert allowed == sorted(set(allowed)), path
        assert (await api.http.get("/token")).headers["allow"] == "POST"


async def test_head_has_the_length_of_the_body_and_no_body_on_the_wire(
    sqlite_url: str, tmp_path: Any
) -> None:
    with one_of_cluster(tmp_path, sqlite_url) as server:
        async with wire(server) as client:
            for path in ("/healthz", "/.well-known/jwks.json", QUERY, "/nothing", "/"):
                got = await client.ask(head("GET", path))
                await client.send(head("HEAD", path))
                reply = (await client.reader.readuntil(b"\r\n\r\n")).lower()
                assert reply.split()[1] == b"%d" % got, path
                assert b"content-length: " in reply, path
            # There were no bytes between the replies.
            assert await client.ask(head("GET", "/healthz")) == 200
