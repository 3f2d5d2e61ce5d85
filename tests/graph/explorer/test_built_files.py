"""The explorer's files and schema over HTTP."""

import gzip
from pathlib import Path
from typing import Any

import pytest

from examples.own_fields import NoteQueries
from graph.explorer.built_files import FOLDER, accepts_gzip
from server.settings import Switch
from tests.accounts import ALICE
from tests.api import Api, denials, serving
from tests.browser.explorer import needs_explorer
from tests.clock import ManualClock
from tests.conftest import make_settings

PAGE = {"Accept": "text/html"}
SCHEMA = "/explorer/schema.graphql"


def one_file(suffix: str) -> str:
    return next(path.name for path in FOLDER.iterdir() if path.suffix == suffix)


@needs_explorer
async def test_page_allows_only_its_own_scripts(sqlite_api: Api) -> None:
    reply = await sqlite_api.http.get("/graphql", headers=PAGE)
    policy = reply.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    for directive in ("default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"):
        assert directive in policy
    assert "https://" not in policy + reply.text
    assert "<style" not in reply.text
    assert reply.text.count("<script") == reply.text.count('<script type="module" crossorigin src=')
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["x-frame-options"] == "DENY"
    assert reply.headers["referrer-policy"] == "no-referrer"


@needs_explorer
@pytest.mark.parametrize(
    ("suffix", "content_type"),
    [
        (".js", "text/javascript; charset=utf-8"),
        (".css", "text/css; charset=utf-8"),
        (".ttf", "font/ttf"),
    ],
)
async def test_file_is_compressed_and_cacheable(
    sqlite_api: Api, suffix: str, content_type: str
) -> None:
    name = one_file(suffix)
    plain = await sqlite_api.http.get(f"/explorer/{name}", headers={"Accept-Encoding": "identity"})
    small = await sqlite_api.http.get(f"/explorer/{name}", headers={"Accept-Encoding": "br, gzip"})
    head = await sqlite_api.http.head(f"/explorer/{name}", headers={"Accept-Encoding": "gzip"})
    assert plain.content == small.content == (FOLDER / name).read_bytes()
    assert "content-encoding" not in plain.headers
    for reply in (small, head):
        assert reply.status_code == 200
        assert reply.headers["content-encoding"] == "gzip"
        assert int(reply.headers["content-length"]) < len(plain.content)
    for reply in (plain, small, head):
        assert reply.headers.get_list("content-type") == [content_type]
        assert reply.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert reply.headers["vary"] == "Accept-Encoding, Origin"
        assert reply.headers["x-content-type-options"] == "nosniff"
    assert head.content == b""


@needs_explorer
@pytest.mark.parametrize(
    "path",
    [
        "../endpoint.py",
        "..%2fendpoint.py",
        "%2e%2e/endpoint.py",
        "..%5cendpoint.py",
        "%2fetc%2fpasswd",
        "//etc/passwd",
        "index.html",
        "licenses.md",
        "",
        "nothing.js",
        "nothing.js%00",
        ".",
    ],
)
async def test_other_paths_are_not_found(sqlite_api: Api, path: str) -> None:
    reply = await sqlite_api.http.get(f"/explorer/{path}")
    assert reply.status_code == 404


@needs_explorer
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
async def test_files_allow_only_get_and_head(sqlite_api: Api, method: str) -> None:
    for name in (one_file(".js"), "schema.graphql"):
        reply = await sqlite_api.http.request(method, f"/explorer/{name}")
        assert reply.status_code == 405
        assert set(reply.headers["allow"].split(", ")) == {"GET", "HEAD"}


async def test_files_are_not_found_if_the_explorer_is_off(
    sqlite_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    off = make_settings(sqlite_url, tmp_path).model_copy(update={"explorer": Switch.OFF})
    names = ["schema.graphql", *(path.name for path in FOLDER.glob("*"))]
    async with serving(off, clock) as api:
        for name in names:
            assert (await api.http.get(f"/explorer/{name}")).status_code == 404


async def test_schema_contains_the_directives_of_fields(sqlite_api: Api) -> None:
    reply = await sqlite_api.http.get(SCHEMA)
    plain = await sqlite_api.http.get(SCHEMA, headers={"Accept-Encoding": "identity"})
    assert reply.headers["content-encoding"] == "gzip"
    assert reply.text == plain.text
    assert '@requires(permission: "users:read")' in reply.text
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"


async def test_schema_contains_custom_fields(
    sqlite_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    custom: dict[str, Any] = {
        "queries": [NoteQueries],
        "permissions": {"notes:read": "Read all notes."},
    }
    async with serving(make_settings(sqlite_url, tmp_path), clock, **custom) as api:
        sdl = (await api.http.get(SCHEMA)).text
    assert 'notes: [String!] @requires(permission: "notes:read")' in sdl


async def test_schema_needs_an_account_if_introspection_is_off(
    sqlite_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    without_introspection = make_settings(sqlite_url, tmp_path).model_copy(
        update={"introspection": Switch.OFF}
    )
    async with serving(without_introspection, clock) as api:
        anonymous = await api.http.get(SCHEMA)
        invalid = await api.http.get(SCHEMA, headers={"Authorization": "Bearer nonsense"})
        token = await api.log_in(ALICE)
        alice = await api.http.get(SCHEMA, headers={"Authorization": f"Bearer {token}"})
        assert denials(await api.ask("{ __schema { types { name } } }"))
    assert anonymous.headers["www-authenticate"] == "Bearer"
    assert 'error="invalid_token"' in invalid.headers["www-authenticate"]
    assert [r.status_code for r in (anonymous, invalid, alice)] == [401, 401, 200]
    assert "type Query" in alice.text


@pytest.mark.parametrize(
    ("accept_encoding", "accepts"),
    [
        ("gzip", True),
        ("br;q=1.0, GZIP;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip; q=0.0, br", False),
        ("x-gzippy", False),
        ("", False),
    ],
)
def test_gzip_is_accepted_by_the_accept_encoding_header(
    accept_encoding: str, accepts: bool
) -> None:
    assert accepts_gzip(accept_encoding) == accepts


@needs_explorer
def test_compressed_files_equal_the_originals() -> None:
    compressed = list(FOLDER.glob("*.gz"))
    assert compressed
    for path in compressed:
        assert gzip.decompress(path.read_bytes()) == path.with_suffix("").read_bytes()
