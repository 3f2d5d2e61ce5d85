"""The explorer of a checkout without built files, and the page of the REST endpoints."""

import shutil
from pathlib import Path

import pytest

from tests.browser.cdn_explorer import open_explorer, play, run, sign_in, type_query
from tests.browser.chromium import CDN, needs_chromium, needs_packages, visit
from tests.processes import forked_server, running_server

pytestmark = [needs_chromium, needs_packages]

DEVELOPMENT = {"POSTERN_ENVIRONMENT": "development", "POSTERN_BCRYPT_COST": "4"}
CHECKOUT = Path(__file__).parents[2]


def copy_without_built_files(folder: Path) -> None:
    for package in ("server", "graph", "auth", "models", "postern"):
        ignored = shutil.ignore_patterns("built", "__pycache__")
        shutil.copytree(CHECKOUT / package, folder / package, ignore=ignored)


@pytest.mark.soak
def test_cdn_explorer_can_sign_in_and_run_queries(tmp_path: Path) -> None:
    # `python -m postern` takes the packages of the folder that it runs in.
    copy_without_built_files(tmp_path)
    with running_server(tmp_path, DEVELOPMENT) as server, visit() as browser:
        open_explorer(browser.page, server.base_url)
        token = sign_in(browser.page)
        assert '"username": "alice"' in play(browser.page, "Me")
        type_query(browser.page, "{ users { nodes { username } } }")
        assert '"code": "FORBIDDEN"' in run(browser.page)
        # The page stores its state with a delay.
        browser.page.wait_for_timeout(1_000)
        kept = browser.page.evaluate("JSON.stringify([localStorage, sessionStorage])")
        shown = browser.page.evaluate("document.title")
    assert shown == "Postern explorer"
    assert token not in kept
    assert "nodes" not in kept
    assert (browser.failed, browser.reports) == ([], [])
    assert browser.foreign
    assert all(f"//{CDN}/" in url for url in browser.foreign)


def test_swagger_can_sign_in_without_other_hosts(tmp_path: Path) -> None:
    with forked_server(tmp_path, DEVELOPMENT) as server, visit() as browser:
        page = browser.page
        page.goto(f"{server.base_url}/docs")
        page.click("button.authorize")
        page.fill("#oauth_username", "alice")
        page.fill("#oauth_password", "secret123")
        page.click(".auth-btn-wrapper button.authorize")
        page.wait_for_selector("text=Logout")
        page.click("button.close-modal")
        page.click("#operations-default-me_users_me_get .opblock-summary-control")
        page.click("button.try-out__btn")
        page.click("button.execute")
        page.wait_for_selector(".live-responses-table")
        answer = page.inner_text(".live-responses-table .highlight-code")
    assert '"username": "alice"' in answer
    assert (browser.foreign, browser.failed, browser.reports) == ([], [], [])
