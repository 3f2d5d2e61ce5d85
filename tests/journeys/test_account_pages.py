"""The account pages in a real browser."""

import json
import time
from pathlib import Path

import httpx2

from tests.api import LOGIN
from tests.browser.chromium import needs_chromium, visit
from tests.emails import SmtpServer
from tests.processes import forked_server

pytestmark = needs_chromium

REQUEST_RESET = (
    'mutation { requestPasswordReset(input: {email: "alice@example.com"}) { emailSentTo } }'
)
NEW = "a completely new one"


def request_link(base_url: str, smtp: SmtpServer) -> str:
    httpx2.post(f"{base_url}/graphql", json={"query": REQUEST_RESET})
    return wait_for_link(smtp)


def wait_for_link(smtp: SmtpServer) -> str:
    deadline = time.monotonic() + 10
    while not smtp.emails and time.monotonic() < deadline:
        time.sleep(0.05)
    return smtp.emails[0].link


def log_in(base_url: str, password: str) -> bool:
    variables = {"input": {"username": "alice", "password": password}}
    reply = httpx2.post(f"{base_url}/graphql", json={"query": LOGIN, "variables": variables})
    return not reply.json()["data"]["login"]["errors"]


def test_reset_password_page_sets_a_new_password(tmp_path: Path) -> None:
    with SmtpServer() as smtp:
        settings = {
            "POSTERN_ENVIRONMENT": "development",
            "POSTERN_MAIL_URL": smtp.url,
            "POSTERN_BCRYPT_COST": "4",
        }
        with forked_server(tmp_path, settings) as server, visit() as browser:
            page = browser.page
            link = request_link(server.base_url, smtp)
            page.goto(link)
            assert page.title() == "Choose a new password"
            # The token is removed from the history.
            assert page.url == f"{server.base_url}/account/reset-password"
            page.get_by_label("New password", exact=True).fill("short")
            page.get_by_role("button").click()
            page.get_by_text("at least 8 characters").wait_for()
            page.get_by_label("New password", exact=True).fill(NEW)
            page.keyboard.press("Enter")
            page.get_by_text("The password was set").wait_for()
            assert log_in(server.base_url, NEW)
            page.goto("about:blank")
            page.goto(link)
            page.get_by_label("New password", exact=True).fill(NEW)
            page.get_by_role("button").click()
            page.get_by_text("has expired or was used already").wait_for()
            page.goto(f"{server.base_url}/account/verify-email")
            page.get_by_text("This link is incomplete").wait_for()
    assert (browser.foreign, browser.failed, browser.reports) == ([], [], [])


REGISTER = """
mutation {
  register(
    input: {username: "carol", email: "carol@example.com", password: "a trap for the owner"}
  ) { emailSentTo }
}
"""


def test_verify_email_page_works_with_trusted_documents_only(tmp_path: Path) -> None:
    manifest = tmp_path / "documents.json"
    manifest.write_text(json.dumps({"login": LOGIN, "register": REGISTER}))
    with SmtpServer() as smtp:
        settings = {
            "POSTERN_ENVIRONMENT": "development",
            "POSTERN_EMAIL_VERIFICATION": "required",
            "POSTERN_TRUSTED_DOCUMENTS": str(manifest),
            "POSTERN_TRUSTED_DOCUMENTS_ONLY": "on",
            "POSTERN_MAIL_URL": smtp.url,
            "POSTERN_BCRYPT_COST": "4",
        }
        with forked_server(tmp_path, settings) as server, visit() as browser:
            page = browser.page
            httpx2.post(f"{server.base_url}/graphql", json={"documentId": "register"})
            page.goto(wait_for_link(smtp))
            page.get_by_label("Password", exact=True).fill("tulips in november")
            page.get_by_role("button", name="Verify the address").click()
            page.get_by_text("The current password is wrong.").wait_for()
            page.get_by_role("button", name="I did not choose a password").click()
            page.get_by_label("New password", exact=True).fill(NEW)
            page.get_by_role("button", name="Verify the address").click()
            page.get_by_text("The address is verified.").wait_for()
            variables = {"input": {"username": "carol", "password": NEW}}
            login = {"documentId": "login", "variables": variables}
            reply = httpx2.post(f"{server.base_url}/graphql", json=login)
            assert reply.json()["data"]["login"]["errors"] == []
    assert (browser.foreign, browser.failed, browser.reports) == ([], [], [])
