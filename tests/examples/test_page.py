"""The example page in a real browser, on another origin than the server's."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.accounts import ALICE, BOB
from tests.browser.chromium import browser, needs_chromium
from tests.databases import SqliteTemplates
from tests.examples.devices import EVERYWHERE, OtherDevice
from tests.examples.frontends import TOKEN_SECONDS, needs_packages, settings_of
from tests.examples.pages import (
    HEARD_WITHIN_MS,
    Site,
    files_served,
    page_for,
    sessions_of,
    shows_signed_in,
)
from tests.processes import Process, forked_server, free_port

pytestmark = [needs_chromium, needs_packages]


# Other tabs are not notified, as if the message were late.
TAKE_BOBS_COOKIE = """async ([url, username, password]) => {
  const query = "mutation($input: LoginInput!) { login(input: $input) { user { id } } }";
  const variables = { input: { username, password, delivery: "COOKIE" } };
  await fetch(url, {
    method: "POST", credentials: "include", headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ query, variables }),
  });
}"""
ASK_AS_ALICE_WITH_BOBS_COOKIE = """async (bob) => {
  const [{ Session }, { createClient }] = await Promise.all(
    [import("./session.js"), import("./fetch.js")],
  );
  const session = new Session(bob[0], "COOKIE");
  const changes = [];
  session.onChange(({ kind }) => changes.push(kind));
  await session.resume();
  await (TAKE_BOBS_COOKIE)(bob);
  while (!session.isStale) await new Promise((resolve) => setTimeout(resolve, 50));
  const failure = await createClient(session)("{ me { id } }").catch((error) => error);
  return [failure.constructor.name, changes, session.user.username];
}""".replace("TAKE_BOBS_COOKIE", TAKE_BOBS_COOKIE)

LISTEN_TO_ALICE_AND_FIND_BOB = """async (bob) => {
  const [{ Session }, { listen }] = await Promise.all(
    [import("./session.js"), import("./session-events.js")],
  );
  const session = window.listening = new Session(bob[0], "COOKIE");
  await session.resume();
  listen(session);
  await new Promise((resolve) => setTimeout(resolve, 500));
  await (TAKE_BOBS_COOKIE)(bob);
  return session.refresh(session.token).catch((error) => error.constructor.name);
}""".replace("TAKE_BOBS_COOKIE", TAKE_BOBS_COOKIE)


@pytest.fixture(scope="module")
def database_file(
    sqlite_templates: SqliteTemplates, tmp_path_factory: pytest.TempPathFactory
) -> str:
    return sqlite_templates.new(tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def only_browser(
    database_file: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[int, Process, Browser]]:
    """The example page, its server, and a browser."""
    server_port = free_port()
    with files_served(page_for(tmp_path_factory.mktemp("page"), server_port)) as port:
        allowed = {"POSTERN_CORS_ORIGINS": f"http://localhost:{port}"}
        settings = {**settings_of(database_file), **allowed}
        folder = tmp_path_factory.mktemp("server")
        with forked_server(folder, settings, server_port) as server, browser() as started:
            yield port, server, started


@pytest.fixture
def site(only_browser: tuple[int, Process, Browser]) -> Iterator[Site]:
    """The page in a browser without cookies."""
    port, server, started = only_browser
    context = started.new_context()
    yield Site(f"http://localhost:{port}", server, context)
    context.close()


def test_page_stays_signed_in_until_another_tab_signs_out(site: Site, database_file: str) -> None:
    tab = site.open_tab()
    assert not shows_signed_in(tab)
    site.sign_in(tab, replace(ALICE, password="wrong"))
    tab.get_by_text("The username or password is wrong.").wait_for()
    site.sign_in(tab)
    tab.get_by_text("Signed in as alice.").wait_for()
    # Scripts cannot read the refresh token.
    assert tab.evaluate("[document.cookie, {...localStorage}, {...sessionStorage}]") == ["", {}, {}]
    tab.reload()
    assert shows_signed_in(tab)
    time.sleep(TOKEN_SECONDS)
    tab.get_by_role("button", name="Ask who I am").click()
    tab.get_by_text("The server says: alice.").wait_for()
    second = site.open_tab()
    assert shows_signed_in(second)
    # Both tabs share a session.
    assert [reason for _, _, reason in sessions_of(database_file)].count(None) == 1
    second.get_by_role("button", name="Sign out").click()
    tab.get_by_text("Signed out").wait_for(timeout=HEARD_WITHIN_MS)
    assert not shows_signed_in(tab)
    *_, (_, _, reason) = sessions_of(database_file)
    assert reason == "logged_out"
    tab.reload()
    assert not shows_signed_in(tab)


def test_page_is_signed_out_by_another_device(site: Site) -> None:
    tab = site.open_tab()
    site.sign_in(tab)
    tab.get_by_text("Signed in as alice.").wait_for()
    other = OtherDevice(site.server)
    # The page is subscribed, so it updates without a click.
    time.sleep(0.5)
    other.ask(EVERYWHERE)
    tab.get_by_text("Signed out").wait_for(timeout=HEARD_WITHIN_MS)
    assert not shows_signed_in(tab)


def test_sign_in_applies_to_all_tabs(site: Site) -> None:
    first, second = site.open_tab(), site.open_tab()
    site.sign_in(second)
    first.get_by_text("Signed in as alice.").wait_for(timeout=HEARD_WITHIN_MS)
    second.get_by_role("button", name="Sign out").click()
    first.get_by_text("Signed out").wait_for(timeout=HEARD_WITHIN_MS)
    site.sign_in(second, BOB)
    first.get_by_text("Signed in as bob.").wait_for(timeout=HEARD_WITHIN_MS)
    second.get_by_role("button", name="Sign out").click()
    first.get_by_text("Signed out").wait_for(timeout=HEARD_WITHIN_MS)


def test_page_does_not_send_a_request_as_the_next_user(site: Site) -> None:
    tab = site.open_tab()
    site.sign_in(tab)
    tab.get_by_text("Signed in as alice.").wait_for()
    result = tab.evaluate(ASK_AS_ALICE_WITH_BOBS_COOKIE, [site.graphql, BOB.username, BOB.password])
    assert result == ["AnotherUser", ["signedIn", "signedOut", "signedIn"], "bob"]


def test_link_cannot_change_the_server_of_the_login(site: Site, tmp_path: Path) -> None:
    with files_served(tmp_path) as foreign:
        tab = site.open_tab(f"?url=http://localhost:{foreign}/graphql")
        asked: list[str] = []
        tab.on("request", lambda request: asked.append(request.url))
        site.sign_in(tab)
        tab.get_by_text("Signed in as alice.").wait_for()
        assert set(asked) == {site.graphql}


def test_page_subscribes_for_the_user_of_the_cookie(site: Site) -> None:
    tab = site.open_tab()
    site.sign_in(tab)
    tab.get_by_text("Signed in as alice.").wait_for()
    result = tab.evaluate(LISTEN_TO_ALICE_AND_FIND_BOB, [site.graphql, BOB.username, BOB.password])
    assert result == "AnotherUser"
    OtherDevice(site.server).ask(EVERYWHERE)
    time.sleep(0.5)
    assert tab.evaluate("listening.user?.username") == "bob"
    OtherDevice(site.server, BOB).ask(EVERYWHERE)
    tab.wait_for_function("listening.user === null", timeout=HEARD_WITHIN_MS)


def test_page_shows_the_throttle_delay(site: Site) -> None:
    tab = site.open_tab()
    button = tab.get_by_role("button", name="Sign in")
    for _ in range(10):
        site.sign_in(tab, replace(ALICE, password="wrong"))
        tab.get_by_text("The username or password is wrong.").wait_for()
        tab.evaluate("document.getElementById('message').textContent = ''")
    site.sign_in(tab)
    tab.get_by_text("Too many attempts").wait_for()
    assert button.is_disabled()
    # Playwright waits until the button is enabled.
    button.click()
    tab.get_by_text("Signed in as alice.").wait_for()
    tab.get_by_role("button", name="Sign out").click()
    tab.get_by_text("Signed out").wait_for()
