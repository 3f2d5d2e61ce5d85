"""Accessibility of the explorer's panel: keyboard, screen readers and contrast."""

import pytest
from playwright.sync_api import Browser

from tests.browser.chromium import needs_chromium
from tests.browser.explorer import ExplorerPage, Scheme, needs_axe, needs_explorer, opened
from tests.processes import Process

pytestmark = [needs_chromium, needs_explorer]

FOCUSED = "document.activeElement.name || document.activeElement.textContent"


def tab_to(explorer: ExplorerPage, name: str) -> None:
    for _ in range(20):
        explorer.page.keyboard.press("Tab")
        if explorer.page.evaluate(FOCUSED) == name:
            return
    raise AssertionError(f"Tab does not reach {name}")


def too_wide(explorer: ExplorerPage) -> list[str]:
    """Returns the parts of the page that are too wide for the window."""
    is_cut = "element => element.scrollWidth > element.clientWidth"
    places = ("html", ".graphiql-plugin")
    return [place for place in places if explorer.page.locator(place).evaluate(is_cut)]


def test_sign_in_and_out_work_by_keyboard(browser: Browser, server: Process) -> None:
    with opened(browser, server.base_url) as explorer:
        keyboard = explorer.page.keyboard
        tab_to(explorer, "username")
        outline = "getComputedStyle(document.activeElement).outlineStyle"
        assert explorer.page.evaluate(outline) == "solid"
        keyboard.press("Tab")
        keyboard.insert_text("not it")  # Tab selected what was there.
        keyboard.press("Enter")
        explorer.wait_for_text("INVALID_CREDENTIALS")
        keyboard.press("ControlOrMeta+A")
        keyboard.insert_text("secret123")
        keyboard.press("Enter")
        explorer.wait_for_text("Signed in as alice.")
        assert explorer.page.evaluate(FOCUSED) == "alice"
        tab_to(explorer, "Add an account")
        keyboard.press("Enter")
        assert explorer.page.evaluate(FOCUSED) == "username"
        tab_to(explorer, "Cancel")
        keyboard.press("Enter")
        assert explorer.page.evaluate(FOCUSED) == "alice"
        tab_to(explorer, "Sign out alice")
        keyboard.press("Enter")
        explorer.wait_for_text("alice is signed out.")
        assert explorer.page.evaluate(FOCUSED) == "username"


def test_editors_follow_the_color_scheme_of_the_system(browser: Browser, server: Process) -> None:
    with opened(browser, server.base_url) as explorer:
        explorer.page.wait_for_selector(".graphiql-query-editor .monaco-editor.vs")
        explorer.page.emulate_media(color_scheme="dark")
        explorer.page.wait_for_selector(".graphiql-query-editor .monaco-editor.vs-dark")


@needs_axe
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violations(browser: Browser, server: Process, scheme: Scheme) -> None:
    with opened(browser, server.base_url, scheme) as explorer:
        assert explorer.violations() == []
        explorer.enter("alice", "not her password")
        explorer.wait_for_text("INVALID_CREDENTIALS")
        assert explorer.violations() == []
        explorer.press("Create an account")
        explorer.fill("Username", "alice")
        explorer.fill("Email", "carol@example.com")
        explorer.fill("Password", "short")
        explorer.press("Create the account")
        explorer.wait_for_text("PASSWORD_TOO_SHORT")
        assert explorer.violations() == []
        explorer.press("Sign in instead")
        explorer.sign_in()
        assert explorer.violations() == []


@pytest.mark.parametrize("width", [800, 400])
def test_narrow_window_shows_everything(browser: Browser, server: Process, width: int) -> None:
    with opened(browser, server.base_url) as explorer:
        explorer.page.set_viewport_size({"width": width, "height": 800})
        assert too_wide(explorer) == []
        explorer.sign_in()
        assert '"username": "alice"' in explorer.ask("{ me { username } }")
        assert too_wide(explorer) == []
        result = explorer.page.locator(".result-window").bounding_box()
        assert result
        assert result["width"] > 250
        assert result["height"] > 150
        assert result["x"] + result["width"] <= width
