"""Pages of other origins cannot use the session of a signed-in user.

Two origins: another port of localhost is the same site, so the browser does send the cookie; the
other name of this machine is another site.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.chromium import browser, needs_chromium
from tests.databases import SqliteTemplates
from tests.examples.frontends import needs_packages
from tests.examples.pages import Site, files_served, page_for, sessions_of, shows_signed_in
from tests.processes import Process, forked_server, free_port

pytestmark = [needs_chromium, needs_packages]

REFRESH = "mutation { refreshTokens(input: {}) { tokens { accessToken } user { username } } }"
LOGOUT = "mutation { logout { endedSessions } }"
ME = "{ me { username } }"
LOGIN = """mutation { login(input: {username: "bob", password: "staple of tuesdays",
    delivery: COOKIE}) { user { username } } }"""

ASK = """async ([url, query, init]) => {
  try {
    const reply = await fetch(url, {
      method: "POST", credentials: "include", body: JSON.stringify({ query }), ...init,
    });
    return [reply.type, reply.status, await reply.text()];
  } catch (error) {
    return error.name;
  }
}"""
SUBMIT = """([url, query, enctype]) => {
  const form = document.createElement("form");
  // As text, name=value makes a JSON document: {"query": "…", "a": "="}.
  const name = JSON.stringify({ query, a: "" }).slice(0, -2);
  form.append(Object.assign(document.createElement("input"), { name, value: '"}' }));
  document.body.append(Object.assign(form, { method: "POST", action: url, enctype }));
  form.submit();
}"""
OPEN_SOCKET = """url => new Promise((resolve) => {
  const socket = new WebSocket(url, "graphql-transport-ws");
  socket.onopen = () => resolve("open");
  socket.onclose = ({ code }) => resolve(code);
})"""
JSON = {"headers": {"Content-Type": "application/json"}}
# A "simple" request, which needs no preflight request.
SIMPLE = {"mode": "no-cors", "headers": {"Content-Type": "text/plain"}}


class Foreign:
    """A page of another origin and the site's own page, in one browser."""

    def __init__(self, site: Site, page: Page, database_file: str) -> None:
        self.site = site
        self.page = page
        self._database_file = database_file
        self._before = sessions_of(database_file)

    def ask(self, query: str, **init: Any) -> Any:
        """Returns the result of a fetch with the user's cookies."""
        return self.page.evaluate(ASK, [self.site.graphql, query, init])

    def check_nothing_happened(self) -> None:
        """Asserts that the session has not changed, and the user is signed in."""
        assert sessions_of(self._database_file) == self._before
        (tab, *_) = self.site.browser.pages
        tab.reload()
        assert shows_signed_in(tab)
        assert tab.locator("#name").text_content() == "alice"


@pytest.fixture(scope="module")
def server_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def app_port(server_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with files_served(page_for(tmp_path_factory.mktemp("page"), server_port)) as port:
        yield port


@pytest.fixture(scope="module")
def database_file(
    sqlite_templates: SqliteTemplates, tmp_path_factory: pytest.TempPathFactory
) -> str:
    return sqlite_templates.new(tmp_path_factory.mktemp("foreign"))


@pytest.fixture(scope="module")
def server(
    server_port: int,
    app_port: int,
    database_file: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Process]:
    settings = {
        "POSTERN_ENVIRONMENT": "development",
        "POSTERN_DATABASE_URL": database_file,
        "POSTERN_CORS_ORIGINS": f"http://localhost:{app_port}",
        "POSTERN_EXPLORER": "off",
        "POSTERN_BCRYPT_COST": "4",
    }
    with forked_server(tmp_path_factory.mktemp("server"), settings, server_port) as server:
        yield server


@pytest.fixture(scope="module")
def site(app_port: int, server: Process) -> Iterator[Site]:
    """A site with alice signed in by cookie."""
    with browser() as started:
        site = Site(f"http://localhost:{app_port}", server, started.new_context())
        tab = site.open_tab()
        site.sign_in(tab)
        tab.get_by_text("Signed in as alice.").wait_for()
        yield site


@pytest.fixture(params=["another port", "another name"])
def foreign(
    request: pytest.FixtureRequest, site: Site, app_port: int, database_file: str, tmp_path: Path
) -> Iterator[Foreign]:
    (tmp_path / "index.html").write_text("<!doctype html><title>Free holidays</title><body>")
    with files_served(tmp_path) as port:
        page = site.browser.new_page()
        is_port = request.param == "another port"
        page.goto(f"http://localhost:{port}" if is_port else f"http://127.0.0.1:{app_port}")
        yield Foreign(site, page, database_file)
        page.close()


def test_own_origin_can_use_the_cookie(site: Site) -> None:
    tab = site.open_tab()
    kind, status, body = tab.evaluate(ASK, [site.graphql, REFRESH, JSON])
    assert (kind, status) == ("cors", 200)
    assert '"username":"alice"' in body
    assert tab.evaluate(OPEN_SOCKET, site.graphql.replace("http", "ws")) == "open"
    cookies = {
        cookie["name"].rpartition("_")[0]: cookie for cookie in site.browser.cookies(site.graphql)
    }
    assert cookies.keys() == {"postern_refresh", "postern_device"}
    for cookie in cookies.values():
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    tab.close()


def test_foreign_page_cannot_refresh_or_sign_out_with_the_cookie(foreign: Foreign) -> None:
    """R-32."""
    for query in (REFRESH, LOGOUT, LOGIN, ME):
        assert foreign.ask(query, **JSON) == "TypeError"
        assert foreign.ask(query, **SIMPLE) == ["opaque", 0, ""]
    beacon = "([url, query]) => navigator.sendBeacon(url, JSON.stringify({ query }))"
    foreign.page.evaluate(beacon, [foreign.site.graphql, LOGOUT])
    foreign.check_nothing_happened()


def test_form_of_a_foreign_page_is_refused(foreign: Foreign) -> None:
    """R-91."""
    home = foreign.page.url
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        foreign.page.goto(home)
        with foreign.page.expect_navigation() as navigation:
            foreign.page.evaluate(SUBMIT, [foreign.site.graphql, LOGOUT, kind])
        assert navigation.value.status == 415
        assert "UNSUPPORTED_MEDIA_TYPE" in foreign.page.content()
    foreign.page.goto(home)
    reply = foreign.page.goto(f"{foreign.site.graphql}?query={LOGOUT}", referer=home)
    assert reply
    assert reply.status == 405
    foreign.check_nothing_happened()


def test_foreign_page_cannot_read_a_reply(foreign: Foreign) -> None:
    """R-92."""
    address = f"{foreign.site.graphql}?query={ME}"
    get = {"method": "GET", "body": None}
    assert foreign.page.evaluate(ASK, [address, "", get]) == "TypeError"
    assert foreign.page.evaluate(ASK, [address, "", {**get, "mode": "no-cors"}])[0] == "opaque"
    keys = f"{foreign.site.server.base_url}/users/me"
    assert foreign.page.evaluate(ASK, [keys, "", get]) == "TypeError"
    # The origin of a sandboxed page is always `null`.
    sandboxed = f"""<iframe sandbox="allow-scripts" srcdoc="<script>
      fetch('{foreign.site.graphql}', {{ method: 'POST', credentials: 'include',
        headers: {{ 'Content-Type': 'application/json' }}, body: '{{}}' }})
        .then(() => 'read', (error) => error.name)
        .then((result) => parent.postMessage(result, '*'));
    </script>"></iframe>"""
    result = foreign.page.evaluate(
        """html => new Promise((resolve) => {
          addEventListener("message", ({ data }) => resolve(data), { once: true });
          document.body.insertAdjacentHTML("beforeend", html);
        })""",
        sandboxed,
    )
    assert result == "TypeError"
    foreign.check_nothing_happened()


def test_foreign_page_cannot_open_a_socket(foreign: Foreign) -> None:
    """R-111."""
    address = foreign.site.graphql.replace("http", "ws")
    # Refused during the handshake.
    assert foreign.page.evaluate(OPEN_SOCKET, address) == 1006
    foreign.check_nothing_happened()
