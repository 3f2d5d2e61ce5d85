"""Actions on the built explorer page."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import httpx2
import pytest
from playwright.sync_api import Browser, Locator, Route

from graph.explorer.built_files import is_built
from tests.browser.chromium import Visit
from tests.node import needs_packages_of

_EXPLORER = Path(__file__).parents[2] / "explorer"
AXE = _EXPLORER / "node_modules/axe-core/axe.min.js"

needs_explorer = pytest.mark.skipif(not is_built(), reason="run `make explorer` first")
needs_axe = needs_packages_of(_EXPLORER)

Scheme = Literal["light", "dark"]

SETTINGS = {"POSTERN_ENVIRONMENT": "development", "POSTERN_BCRYPT_COST": "4"}
# Long enough for a request, short enough to wait for the expiry.
SHORT = {**SETTINGS, "POSTERN_ACCESS_TOKEN_TTL": "2"}
TOKEN_ENDS_MS = 2_500

_RESULT = ".result-window .view-lines"
_PASTE = """text => {
  const clipboardData = new DataTransfer();
  clipboardData.setData("text/plain", text);
  const paste = new ClipboardEvent("paste", { clipboardData, bubbles: true });
  document.activeElement.dispatchEvent(paste);
}"""


class ExplorerPage:
    """The explorer page, opened and ready."""

    def __init__(self, visit: Visit, base_url: str) -> None:
        self.visit = visit
        self.page = visit.page
        self.base_url = base_url
        self.page.goto(f"{base_url}/graphql")
        self.page.wait_for_selector(".graphiql-query-editor .view-lines")

    @property
    def panel(self) -> Locator:
        """The Account panel."""
        return self.page.get_by_role("region", name="Account", exact=True)

    def press(self, button: str) -> None:
        """Presses a button of the panel."""
        self.panel.get_by_role("button", name=button, exact=True).click()

    def fill(self, label: str, text: str) -> None:
        """Fills in a field of the panel."""
        self.panel.get_by_label(label, exact=True).fill(text)

    def sign_in(self, username: str = "alice", password: str = "secret123") -> None:
        """Signs in by the form and waits until the user is signed in."""
        self.enter(username, password)
        self.wait_for_text(f"Signed in as {username}.")

    def enter(self, username: str, password: str) -> None:
        """Fills in the form and sends it."""
        self.fill("Username or email", username)
        self.fill("Password", password)
        self.press("Sign in")

    def wait_for_text(self, text: str) -> None:
        """Waits until the panel shows the text."""
        self.panel.get_by_text(text).first.wait_for()

    def choose(self, username: str) -> None:
        """Chooses the account that operations are sent as."""
        self.panel.get_by_role("radio", name=username, exact=True).check()

    def write(self, query: str) -> None:
        """Replaces the text of the query editor."""
        self._type(".graphiql-query-editor", query)

    def write_headers(self, headers: dict[str, str]) -> None:
        """Replaces the text of the headers editor."""
        self.page.get_by_role("button", name="Headers", exact=True).click()
        self._type(".graphiql-editor-tool .graphiql-editor:not(.hidden)", json.dumps(headers))

    def ask(self, query: str) -> str:
        """Runs an operation and returns the shown result."""
        self.write(query)
        before = self.shown
        self.page.click(".graphiql-execute-button")
        return self.until(lambda shown: shown not in {"", before})

    def until(self, is_right: Callable[[str], bool]) -> str:
        """Waits until the shown result meets the condition, and returns it."""
        # Polls from here, because the page's CSP forbids the eval of `page.wait_for_function`.
        for _ in range(200):
            if is_right(shown := self.shown):
                return shown
            self.page.wait_for_timeout(50)
        raise AssertionError(f"The page shows another result: {shown}")

    @property
    def shown(self) -> str:
        """The shown result."""
        text = self.page.evaluate(f"document.querySelector({_RESULT!r})?.innerText ?? ''")
        return str(text).replace("\N{NO-BREAK SPACE}", " ").strip()

    @property
    def kept(self) -> str:
        """The storage, cookies and address of the page."""
        return str(
            self.page.evaluate(
                "JSON.stringify([localStorage, sessionStorage, document.cookie, location.href])"
            )
        )

    def hover_text(self, field: str) -> str:
        """Returns the text that the editor shows when the pointer is on a field."""
        for _ in range(10):
            self.page.mouse.move(0, 0)
            self.page.hover(f".graphiql-query-editor .view-lines span:text-is('{field}')")
            self.page.wait_for_timeout(700)
            shown = self.page.locator(".monaco-hover:visible").all_inner_texts()
            if any(shown):
                return "\n".join(shown)
        raise AssertionError(f"No text is shown for {field}.")

    def extend_next_token(self, seconds: int) -> None:
        """Reports another lifetime of the next access tokens to the page."""

        def change_expiry(route: Route) -> None:
            if "ExplorerLogIn" not in (route.request.post_data or ""):
                route.fallback()
                return
            reply = route.fetch()
            result = reply.json()
            result["data"]["login"]["tokens"]["expiresIn"] = seconds
            route.fulfill(response=reply, json=result)

        self.page.route("**/graphql", change_expiry)

    def violations(self) -> list[str]:
        """Returns the problems that axe finds in the panel."""
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = self.page.evaluate("axe.run('.account')")
        return [f"{v['id']}: {v['nodes'][0]['html']}" for v in found["violations"]]

    def _type(self, editor: str, text: str) -> None:
        # Not on a line itself, because the middle of a long line can be hidden.
        visible = self.page.locator(editor).locator(".editor-scrollable")
        visible.click(position={"x": 10, "y": 10})
        self.page.keyboard.press("ControlOrMeta+A")
        # Pasted, because the editor closes brackets that are typed.
        self.page.evaluate(_PASTE, text)
        # The page reads the editor with a delay.
        self.page.wait_for_timeout(400)


@contextmanager
def opened(browser: Browser, base_url: str, scheme: Scheme = "light") -> Iterator[ExplorerPage]:
    """Opens the page; fails on requests to other hosts, failed requests and reported errors."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme=scheme)
    context.set_default_timeout(10_000)
    visit = Visit(context.new_page())
    try:
        yield ExplorerPage(visit, base_url)
        problems = visit.foreign + visit.failed + visit.reports
        assert problems == [], problems
    finally:
        context.close()


def ask(base_url: str, query: str, token: str = "", **variables: Any) -> Any:
    """Runs an operation without the explorer and returns its data."""
    reply = httpx2.post(
        f"{base_url}/graphql",
        json={"query": query, "variables": variables},
        headers={"Authorization": f"Bearer {token}"} if token else {},
    )
    return reply.json()["data"]
