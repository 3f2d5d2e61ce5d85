"""The explorer in a real browser that can reach no host but the server."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Route

from tests.browser.chromium import needs_chromium
from tests.browser.explorer import (
    SETTINGS,
    SHORT,
    TOKEN_ENDS_MS,
    ExplorerPage,
    ask,
    needs_explorer,
    opened,
)
from tests.processes import Process, forked_server

pytestmark = [needs_chromium, needs_explorer]

LOG_IN = """
mutation($username: String!, $password: String!) {
  login(input: {username: $username, password: $password}) { tokens { accessToken } }
}
"""
JWT = re.compile(r"eyJ[\w-]+\.")


def token_of(base_url: str, username: str, password: str) -> str:
    data = ask(base_url, LOG_IN, username=username, password=password)
    return str(data["login"]["tokens"]["accessToken"])


def admin_password(server: Process) -> str:
    match = re.search(r"admin / (\S+)", server.output)
    assert match
    return match[1]


def test_explorer_sends_the_token_of_the_signed_in_account(explorer: ExplorerPage) -> None:
    explorer.press("Sign in")  # The form holds the development account.
    explorer.wait_for_text("Authorization: Bearer … (from Account)")
    explorer.wait_for_text("user")
    timer = explorer.panel.get_by_role("timer")
    first = timer.inner_text()
    assert re.fullmatch(r"\(in (29:[345]\d|30:00)\)", first)
    assert '"username": "alice"' in explorer.ask("{ me { username } }")
    assert '"code": "FORBIDDEN"' in explorer.ask("{ users { nodes { username } } }")
    assert explorer.page.title() == "Postern explorer"
    assert not JWT.search(explorer.kept)
    assert "secret123" not in explorer.kept
    assert timer.inner_text() != first
    assert explorer.page.context.cookies() == []


def test_typed_authorization_header_takes_precedence(explorer: ExplorerPage) -> None:
    explorer.sign_in()
    explorer.write_headers({"authorization": "Bearer nonsense"})
    explorer.wait_for_text("Authorization of the Headers tab (overrides Account)")
    assert '"TOKEN_INVALID"' in explorer.ask("{ me { username } }")
    assert "nonsense" not in explorer.kept


@pytest.mark.soak
def test_expired_token_is_refreshed_before_an_operation(short_explorer: ExplorerPage) -> None:
    short_explorer.sign_in()
    assert '"username": "alice"' in short_explorer.ask("{ me { username } }")
    short_explorer.page.wait_for_timeout(TOKEN_ENDS_MS)
    assert '"again": "alice"' in short_explorer.ask("{ me { again: username } }")


def test_operations_that_fail_together_share_one_refresh(explorer: ExplorerPage) -> None:
    sent: list[str] = []
    early: list[Route] = []

    def refuse_the_first_together(route: Route) -> None:
        body = route.request.post_data or ""
        sent.extend(name for name in ("ExplorerRefresh", "query Late") if name in body)
        if "query Late" not in body or sent.count("query Late") > 3:
            route.continue_()
            return
        early.append(route)
        if len(early) == 3:
            for held in early:
                held.continue_(headers={**held.request.headers, "authorization": "Bearer spoilt"})

    explorer.sign_in()
    explorer.write("query Late { me { username } }")
    explorer.page.route("**/graphql", refuse_the_first_together)
    for _ in range(3):
        explorer.page.keyboard.press("ControlOrMeta+Enter")
    explorer.until(lambda shown: '"username": "alice"' in shown and sent.count("query Late") == 6)
    assert sent.count("ExplorerRefresh") == 1


def test_mutation_with_a_partial_result_is_not_sent_again(short_explorer: ExplorerPage) -> None:
    sent: list[str] = []
    short_explorer.extend_next_token(3600)
    short_explorer.sign_in()
    short_explorer.write(
        'mutation Half { requestPasswordReset(input: {email: "a@example.com"}) { emailSentTo }'
        " logoutEverywhere { endedSessions } }"
    )
    short_explorer.page.wait_for_timeout(TOKEN_ENDS_MS)
    short_explorer.page.on("request", lambda request: sent.append(request.post_data or ""))
    short_explorer.page.keyboard.press("ControlOrMeta+Enter")
    short_explorer.until(lambda shown: '"UNAUTHENTICATED"' in shown)
    assert sum("mutation Half" in body for body in sent) == 1


def test_subscription_continues_after_its_token_expired(short_explorer: ExplorerPage) -> None:
    # The page shows each event only until the next one.
    received: list[str] = []
    short_explorer.page.on(
        "websocket",
        lambda socket: socket.on("framereceived", lambda text: received.append(str(text))),
    )
    short_explorer.sign_in()
    short_explorer.write("subscription { sessionEvents { kind } }")
    short_explorer.page.click(".graphiql-execute-button")
    short_explorer.page.wait_for_timeout(TOKEN_ENDS_MS)
    short_explorer.until(lambda shown: '"REFRESHED"' in shown)
    received.clear()
    token_of(short_explorer.base_url, "alice", "secret123")
    short_explorer.until(lambda _: any('"SIGNED_IN"' in text for text in received))


def test_two_accounts_can_be_switched(explorer: ExplorerPage, server: Process) -> None:
    explorer.sign_in()
    explorer.press("Add an account")
    explorer.sign_in("admin", admin_password(server))
    assert '"one": "admin"' in explorer.ask("{ me { one: username } }")
    explorer.choose("alice")
    explorer.wait_for_text("Operations are sent as alice.")
    assert '"two": "alice"' in explorer.ask("{ me { two: username } }")
    explorer.choose("no account")
    assert '"TOKEN_MISSING"' in explorer.ask("{ me { three: username } }")
    explorer.choose("alice")
    explorer.press("Sign out alice")
    explorer.wait_for_text("alice is signed out.")
    assert '"four": "admin"' in explorer.ask("{ me { four: username } }")


def test_sign_out_ends_the_session_on_the_server(explorer: ExplorerPage) -> None:
    tokens: list[str] = []
    explorer.page.on(
        "request",
        lambda request: tokens.append(request.headers.get("authorization", "").partition(" ")[2]),
    )
    explorer.sign_in()
    explorer.ask("{ me { username } }")
    explorer.press("Sign out alice")
    explorer.wait_for_text("alice is signed out.")
    assert explorer.page.evaluate("document.activeElement.name") == "username"
    used = {token for token in tokens if token}
    assert used
    for token in used:
        assert ask(explorer.base_url, "{ me { username } }", token)["me"] is None


def test_page_reload_signs_out(explorer: ExplorerPage) -> None:
    explorer.sign_in()
    explorer.page.wait_for_load_state("networkidle")
    explorer.page.reload()
    explorer.panel.get_by_role("form", name="Sign in").wait_for()
    assert '"TOKEN_MISSING"' in explorer.ask("{ me { username } }")


def test_registration_signs_in(explorer: ExplorerPage) -> None:
    explorer.press("Create an account")
    explorer.fill("Username", "alice")
    explorer.fill("Email", "carol@example.com")
    explorer.fill("Password", "a word of the newcomer")
    explorer.press("Create the account")
    explorer.wait_for_text("USERNAME_TAKEN")
    assert explorer.page.evaluate("document.activeElement.name") == "username"
    explorer.fill("Username", "carol")
    explorer.press("Create the account")
    explorer.wait_for_text("Signed in as carol.")
    assert '"username": "carol"' in explorer.ask("{ me { username } }")


def test_rate_limit_shows_the_remaining_time(explorer: ExplorerPage) -> None:
    explorer.fill("Username or email", "unknown-user")
    explorer.fill("Password", "a guess of many")
    for _ in range(11):
        ask(explorer.base_url, LOG_IN, username="unknown-user", password="another guess")
    explorer.press("Sign in")
    explorer.wait_for_text("RATE_LIMITED")
    assert re.search(r"Try again in \d s\.", explorer.panel.inner_text())
    explorer.wait_for_text("You can try again now.")
    explorer.press("Sign in")
    explorer.wait_for_text("INVALID_CREDENTIALS")


def test_temporary_password_is_replaced_at_sign_in(explorer: ExplorerPage, server: Process) -> None:
    admin = token_of(server.base_url, "admin", admin_password(server))
    created = ask(
        server.base_url,
        'mutation { createUser(input: {username: "dave", password: "a temporary password"})'
        " { user { id } } }",
        admin,
    )
    explorer.enter("dave", "a temporary password")
    explorer.wait_for_text("PASSWORD_CHANGE_REQUIRED")
    explorer.fill("New password", "short")
    explorer.press("Sign in")
    explorer.wait_for_text("PASSWORD_TOO_SHORT")
    assert explorer.page.evaluate("document.activeElement.name") == "newPassword"
    explorer.fill("New password", "quite another sentence")
    explorer.press("Sign in")
    explorer.wait_for_text("Signed in as dave.")
    disable = "mutation($id: ID!) { disableUser(input: {userId: $id}) { errors { code } } }"
    ask(server.base_url, disable, admin, id=created["createUser"]["user"]["id"])
    explorer.wait_for_text("an admin disabled the account.")
    explorer.fill("Password", "quite another sentence")
    explorer.press("Sign in")
    explorer.wait_for_text("ACCOUNT_DISABLED")


def test_session_ended_elsewhere_is_reported(explorer: ExplorerPage) -> None:
    explorer.sign_in()
    other = token_of(explorer.base_url, "alice", "secret123")
    ask(explorer.base_url, "mutation { logoutEverywhere { endedSessions } }", other)
    explorer.wait_for_text("signed out everywhere.")
    explorer.panel.get_by_role("heading", name="Sign in again").wait_for()
    explorer.fill("Password", "secret123")
    explorer.press("Sign in")
    explorer.wait_for_text("Authorization: Bearer … (from Account)")


@pytest.mark.soak
def test_expired_session_is_reported(browser: Browser, tmp_path: Path) -> None:
    settings = {**SHORT, "POSTERN_SESSION_MAX_AGE": "3"}
    with (
        forked_server(tmp_path, settings) as server,
        opened(browser, server.base_url) as explorer,
    ):
        explorer.sign_in()
        explorer.wait_for_text("Your session has ended. Sign in again.")
        assert "Not sent: the session" in explorer.ask("{ me { username } }")
        explorer.press("Remove alice")
        explorer.panel.get_by_role("radio").first.wait_for(state="detached")


def test_field_documentation_shows_the_required_permission(explorer: ExplorerPage) -> None:
    page = explorer.page
    assert "Requires a signed-in user." in explorer.hover_text("me")
    page.get_by_role("button", name="Show Documentation Explorer").click()
    page.get_by_role("link", name="Query", exact=True).click()
    page.get_by_text("Requires the permission users:read.").first.wait_for()


def test_explorer_loads_the_schema_after_sign_in_without_introspection(
    browser: Browser, tmp_path: Path
) -> None:
    settings = {**SETTINGS, "POSTERN_INTROSPECTION": "off"}
    with (
        forked_server(tmp_path, settings) as server,
        opened(browser, server.base_url) as explorer,
    ):
        explorer.wait_for_text("Sign in to see the schema of this server.")
        explorer.sign_in()
        assert "Requires a signed-in user." in explorer.hover_text("me")


def test_other_pages_can_neither_read_nor_embed_the_explorer(
    browser: Browser, server: Process
) -> None:
    page = browser.new_page()
    page.set_content(f'<iframe src="{server.base_url}/graphql"></iframe>')
    read = "url => fetch(url).then(reply => reply.text(), () => 'refused')"
    for path in ("graphql?query={__typename}", "explorer/schema.graphql"):
        assert page.evaluate(read, f"{server.base_url}/{path}") == "refused"
    assert page.frames[1].locator("#explorer").count() == 0
    page.context.close()
