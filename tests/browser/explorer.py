"""The built explorer as a person uses it."""

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
# Long enough to be used, short enough to wait for its end.
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
    """The page, opened and ready."""

    def __init__(self, visit: Visit, base_url: str) -> None:
        self.visit = visit
        self.page = visit.page
        self.base_url = base_url
        self.page.goto(f"{base_url}/graphql")
        self.page.wait_for_selector(".graphiql-query-editor .view-lines")

    @property
    def panel(self) -> Locator:
        """The pane that is called Account."""
        return self.page.get_by_role("region", name="Account", exact=True)

    def press(self, button: str) -> None:
        """Presses a button of the panel."""
        self.panel.get_by_role("button", name=button, exact=True).click()

    def fill(self, label: str, text: str) -> None:
        """Fills in a field of the panel."""
        self.panel.get_by_label(label, exact=True).fill(text)

    def sign_in(self, username: str = "alice", password: str = "secret123") -> None:
        """Signs in by the form that is shown, and waits until that is done."""
        self.enter(username, password)
        self.says(f"Signed in as {username}.")

    def enter(self, username: str, password: str) -> None:
        """Fills in the form, and sends it."""
        self.fill("Username or email", username)
        self.fill("Password", password)
        self.press("Sign in")

    def says(self, text: str) -> None:
        """Waits until the panel says this."""
        self.panel.get_by_text(text).first.wait_for()

    def choose(self, username: str) -> None:
        """Has operations sent as this account."""
        self.panel.get_by_role("radio", name=username, exact=True).check()

    def write(self, query: str) -> None:
        """Puts this into the editor of operations in place of what is there."""
        self._type(".graphiql-query-editor", query)

    def write_headers(self, headers: dict[str, str]) -> None:
        """The same for the editor of headers."""
        self.page.get_by_role("button", name="Headers", exact=True).click()
        self._type(".graphiql-editor-tool .graphiql-editor:not(.hidden)", json.dumps(headers))

    def ask(self, query: str) -> str:
        """Runs an operation, and returns what the page shows then."""
        self.write(query)
        before = self.shown
        self.page.click(".graphiql-execute-button")
        return self.until(lambda shown: shown not in {"", before})

    def until(self, is_right: Callable[[str], bool]) -> str:
        """Waits until what the page shows as result is right, and returns it."""
        # Asked from here: what waits inside the page is stopped by its own policy.
        for _ in range(200):
            if is_right(shown := self.shown):
                return shown
            self.page.wait_for_timeout(50)
        raise AssertionError(f"this is shown: {shown}")

    @property
    def shown(self) -> str:
        """The lines of the result."""
        text = self.page.evaluate(f"document.querySelector({_RESULT!r})?.innerText ?? ''")
        return str(text).replace("\N{NO-BREAK SPACE}", " ").strip()

    @property
    def kept(self) -> str:
        """All that the browser would remember of the page."""
        return str(
            self.page.evaluate(
                "JSON.stringify([localStorage, sessionStorage, document.cookie, location.href])"
            )
        )

    def told_about(self, field: str) -> str:
        """What the editor says when the pointer rests on a field."""
        for _ in range(10):
            self.page.mouse.move(0, 0)
            self.page.hover(f".graphiql-query-editor .view-lines span:text-is('{field}')")
            self.page.wait_for_timeout(700)
            told = self.page.locator(".monaco-hover:visible").all_inner_texts()
            if any(told):
                return "\n".join(told)
        raise AssertionError(f"nothing is told about {field}")

    def believes_in_tokens_for(self, seconds: int) -> None:
        """Tells the page that the tokens of the next sign-in last as long as that."""

        def lie(route: Route) -> None:
            if "ExplorerLogIn" not in (route.request.post_data or ""):
                route.fallback()
                return
            reply = route.fetch()
            result = reply.json()
            result["data"]["login"]["tokens"]["expiresIn"] = seconds
            route.fulfill(response=reply, json=result)

        self.page.route("**/graphql", lie)

    def violations(self) -> list[str]:
        """What axe finds wrong with the panel."""
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = self.page.evaluate("axe.run('.account')")
        return [f"{v['id']}: {v['nodes'][0]['html']}" for v in found["violations"]]

    def _type(self, editor: str, text: str) -> None:
        # Not on the lines themselves: the middle of long ones is out of sight.
        visible = self.page.locator(editor).locator(".editor-scrollable")
        visible.click(position={"x": 10, "y": 10})
        self.page.keyboard.press("ControlOrMeta+A")
        # Pasted: the editor would close the brackets of what is typed.
        self.page.evaluate(_PASTE, text)
        # The page reads the editor a moment after the last key.
        self.page.wait_for_timeout(400)


@contextmanager
def opened(browser: Browser, base_url: str, scheme: Scheme = "light") -> Iterator[ExplorerPage]:
    """A page that may do nothing wrong: no foreign host, no failed request, no report."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme=scheme)
    context.set_default_timeout(10_000)
    visit = Visit(context.new_page())
    try:
        yield ExplorerPage(visit, base_url)
        wrong = visit.foreign + visit.failed + visit.reports
        assert wrong == [], wrong
    finally:
        context.close()


def ask(base_url: str, query: str, token: str = "", **variables: Any) -> Any:
    """What another client of the same server gets."""
    reply = httpx2.post(
        f"{base_url}/graphql",
        json={"query": query, "variables": variables},
        headers={"Authorization": f"Bearer {token}"} if token else {},
    )
    return reply.json()["data"]
