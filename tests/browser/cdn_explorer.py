"""Actions on the explorer page that a server without built files serves."""

import json
import re

from playwright.sync_api import Page

RESULT = ".result-window .CodeMirror"


def open_explorer(page: Page, base_url: str) -> None:
    page.goto(f"{base_url}/graphql")
    page.wait_for_selector(".graphiql-execute-button")


def play(page: Page, operation: str) -> str:
    """Chooses an operation of the play button and returns the result."""
    before = _result(page)
    # The button has a menu only after the page has parsed the document.
    page.click(".graphiql-execute-button[aria-haspopup]")
    page.get_by_role("menuitem", name=operation).click()
    return _next_result(page, before)


def sign_in(page: Page) -> str:
    """Runs LogIn, puts the access token into the headers, and returns it."""
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
    # The page reads the editor with a delay.
    page.wait_for_timeout(500)


def run(page: Page) -> str:
    """Runs the only operation and returns the result."""
    before = _result(page)
    page.click(".graphiql-execute-button")
    return _next_result(page, before)


def _next_result(page: Page, before: str) -> str:
    # Polls from here, because the page's CSP forbids the eval of `page.wait_for_function`.
    for _ in range(200):
        shown = _result(page)
        if shown not in {"", before}:
            return shown
        page.wait_for_timeout(50)
    raise AssertionError(f"The result did not change: {before}")


def _result(page: Page) -> str:
    return str(
        page.evaluate(
            "selector => document.querySelector(selector)?.CodeMirror?.getValue() ?? ''", RESULT
        )
    )
