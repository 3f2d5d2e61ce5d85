"""The explorer of a server without the built files, as a person uses it."""

import json
import re

from playwright.sync_api import Page

RESULT = ".result-window .CodeMirror"


def open_explorer(page: Page, base_url: str) -> None:
    page.goto(f"{base_url}/graphql")
    page.wait_for_selector(".graphiql-execute-button")


def play(page: Page, operation: str) -> str:
    """Presses the play button, chooses an operation, and returns what the page shows then."""
    before = _result(page)
    # Until the page has read the operations, the button has no menu and sends the whole document.
    page.click(".graphiql-execute-button[aria-haspopup]")
    page.get_by_role("menuitem", name=operation).click()
    return _next_result(page, before)


def sign_in(page: Page) -> str:
    """Plays LogIn, puts the token into the headers, and returns it."""
    shown = play(page, "LogIn")
    match = re.search(r'"accessToken": "([^"]+)"', shown)
    assert match, shown
    header = json.dumps({"Authorization": f"Bearer {match[1]}"})
    page.evaluate(
        "text => document.querySelector('.graphiql-editor-tool .graphiql-editor:not(.hidden)"
        " .CodeMirror').CodeMirror.setValue(text)",
        header,
    )
    return match[1]


def type_query(page: Page, query: str) -> None:
    page.evaluate(
        "text => document.querySelector('.graphiql-query-editor .CodeMirror')"
        ".CodeMirror.setValue(text)",
        query,
    )
    # The page reads the editor a moment after the last key.
    page.wait_for_timeout(500)


def run(page: Page) -> str:
    """Runs the only operation."""
    before = _result(page)
    page.click(".graphiql-execute-button")
    return _next_result(page, before)


def _next_result(page: Page, before: str) -> str:
    # Asked again and again from here: what waits inside the page is stopped by its own policy.
    for _ in range(200):
        shown = _result(page)
        if shown not in {"", before}:
            return shown
        page.wait_for_timeout(50)
    raise AssertionError(f"nothing new is shown: {before}")


def _result(page: Page) -> str:
    return str(
        page.evaluate(
            "selector => document.querySelector(selector)?.CodeMirror?.getValue() ?? ''", RESULT
        )
    )
