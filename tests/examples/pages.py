"""Web servers for pages, and the sessions in the database."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Page

from tests.accounts import ALICE, Account
from tests.examples.frontends import FOLDER
from tests.processes import Process

HEARD_WITHIN_MS = 30_000
ADDRESS_TO_CHANGE = "http://localhost:8000/graphql"


class _Files(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None:
        """Logs nothing."""


@contextmanager
def files_served(folder: Path) -> Iterator[int]:
    """Starts a web server on localhost and 127.0.0.1. Yields its port."""
    handler = partial(_Files, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()


def page_for(folder: Path, port: int) -> Path:
    """Returns a copy of the page for the server at this port."""
    for file in FOLDER.iterdir():
        if file.name != "index.html":
            (folder / file.name).symlink_to(file)
    page = (FOLDER / "index.html").read_text(encoding="utf-8")
    assert page.count(ADDRESS_TO_CHANGE) == 1
    changed = page.replace(ADDRESS_TO_CHANGE, f"http://localhost:{port}/graphql")
    (folder / "index.html").write_text(changed, encoding="utf-8")
    return folder


class Site:
    """The example page in a browser."""

    def __init__(self, origin: str, server: Process, browser: BrowserContext) -> None:
        self.origin = origin
        self.server = server
        self.browser = browser

    @property
    def graphql(self) -> str:
        """The URL that the page calls."""
        return f"{self.server.base_url}/graphql"

    def open_tab(self, query: str = "") -> Page:
        """Opens the page, and waits until it shows whether a user is signed in."""
        tab = self.browser.new_page()
        tab.goto(f"{self.origin}/index.html{query}")
        tab.locator("#sign-in:visible, #account:visible").wait_for()
        return tab

    def sign_in(self, tab: Page, account: Account = ALICE) -> None:
        """Fills in the form."""
        tab.get_by_label("Username").fill(account.username)
        tab.get_by_label("Password").fill(account.password)
        tab.get_by_role("button", name="Sign in").click()


def shows_signed_in(tab: Page) -> bool:
    """Returns whether the page shows a signed-in user."""
    tab.locator("#sign-in:visible, #account:visible").wait_for()
    return tab.locator("#account").is_visible()


def sessions_of(database_url: str) -> list[tuple[str, int, str | None]]:
    """Returns ID, generation and end of each session in the database."""
    with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"))) as db:
        query = "SELECT id, generation, revocation_reason FROM sessions ORDER BY created_at"
        return db.execute(query).fetchall()
