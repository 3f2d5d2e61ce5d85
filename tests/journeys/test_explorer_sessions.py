"""The explorer with ended sessions, lost replies and refused tokens."""

import re

import pytest
from playwright.sync_api import Request, Route

from tests.browser.chromium import needs_chromium
from tests.browser.explorer import TOKEN_ENDS_MS, ExplorerPage, ask, needs_explorer
from tests.processes import Process

pytestmark = [needs_chromium, needs_explorer, pytest.mark.soak]

LOG_IN = """mutation {
  login(input: {username: "alice", password: "secret123"}) { tokens { accessToken } }
}"""
LOG_OUT = "mutation { logout { endedSessions } }"


def log_in(username: str, password: str, delivery: str = "", asked: str = "username") -> str:
    """Returns a login mutation in short lines, which the editor shows without scrolling."""
    return f"""mutation Typed {{
  login(input: {{
    username: "{username}"
    password: "{password}"
    {delivery}
  }}) {{
    user {{
      {asked}
    }}
  }}
}}"""


def log_in_elsewhere(base_url: str) -> str:
    return str(ask(base_url, LOG_IN)["login"]["tokens"]["accessToken"])


def admin_password(server: Process) -> str:
    match = re.search(r"admin / (\S+)", server.output)
    assert match
    return match[1]


def listen(explorer: ExplorerPage) -> list[str]:
    """Returns a list to which the operations of the page are added."""
    sent: list[str] = []

    def hear(request: Request) -> None:
        if request.post_data:
            sent.append(request.post_data)

    explorer.page.on("request", hear)
    return sent


def one_line(shown: str) -> str:
    return " ".join(shown.split())


def never_answer(explorer: ExplorerPage, operation: str) -> None:
    def hold(route: Route) -> None:
        if operation not in (route.request.post_data or ""):
            route.fallback()

    explorer.page.route("**/graphql", hold)


def end_sessions_of_alice(base_url: str) -> None:
    token = log_in_elsewhere(base_url)
    ask(base_url, "mutation { logoutEverywhere { endedSessions } }", token)


def test_operations_of_an_ended_session_are_not_sent(
    explorer: ExplorerPage, server: Process
) -> None:
    explorer.sign_in()
    explorer.ask(log_in("admin", admin_password(server), "delivery: COOKIE"))
    end_sessions_of_alice(explorer.base_url)
    explorer.wait_for_text("signed out everywhere.")
    sent = listen(explorer)
    assert "Not sent: the session of alice has ended." in one_line(explorer.ask(LOG_OUT))
    assert sent == []
    # The cookie is still used if no account is chosen.
    explorer.choose("no account")
    assert '"endedSessions": 1' in explorer.ask(LOG_OUT)
    explorer.choose("alice (ended)")
    shown = explorer.ask("subscription { sessionEvents { kind } }")
    assert "Not sent: the session of alice has ended." in one_line(shown)


def test_refresh_without_an_answer_does_not_block_operations(explorer: ExplorerPage) -> None:
    explorer.extend_next_token(1)
    never_answer(explorer, "ExplorerRefresh")
    explorer.sign_in()
    assert '"username": "alice"' in explorer.ask("{ me { username } }")
    explorer.press("Sign out alice")
    explorer.wait_for_text("alice is signed out.")
    assert set(explorer.visit.failed) == {f"{explorer.base_url}/graphql"}
    explorer.visit.failed.clear()


def test_sign_out_without_an_answer_is_reported(explorer: ExplorerPage) -> None:
    explorer.sign_in()
    never_answer(explorer, "ExplorerLogOut")
    explorer.press("Sign out alice")
    explorer.wait_for_text("Not signed out: The server did not answer within 5 seconds.")
    assert '"username": "alice"' in explorer.ask("{ me { username } }")
    explorer.visit.failed.clear()


def test_mutation_with_a_partly_refused_reply_is_not_sent_again(
    short_explorer: ExplorerPage,
) -> None:
    short_explorer.extend_next_token(3600)
    short_explorer.sign_in()
    short_explorer.page.wait_for_timeout(TOKEN_ENDS_MS)
    sent = listen(short_explorer)
    asked = "sessions(first: 1) { nodes { id } }"
    shown = short_explorer.ask(log_in("alice", "secret123", asked=asked))
    assert '"UNAUTHENTICATED"' in shown
    # Waits for a request that could follow the refresh.
    short_explorer.page.wait_for_timeout(1_000)
    assert sum("mutation Typed" in body for body in sent) == 1


def test_mutation_without_data_is_not_sent_again(explorer: ExplorerPage) -> None:
    refusal = {"message": "No.", "path": ["x"], "extensions": {"code": "UNAUTHENTICATED"}}

    def answer(route: Route) -> None:
        if "mutation Once" in (route.request.post_data or ""):
            route.fulfill(json={"data": None, "errors": [refusal]})
        else:
            route.fallback()

    explorer.sign_in()
    explorer.page.route("**/graphql", answer)
    sent = listen(explorer)
    assert '"No."' in explorer.ask("mutation Once { logout { endedSessions } }")
    explorer.page.wait_for_timeout(1_000)
    assert len(sent) == 1


def test_earlier_session_that_cannot_be_signed_out_is_kept(
    short_explorer: ExplorerPage,
) -> None:
    def refuse(route: Route) -> None:
        if "ExplorerLogOut" in (route.request.post_data or ""):
            route.fulfill(json={"errors": [{"message": "Not now."}]})
        else:
            route.fallback()

    short_explorer.sign_in()
    short_explorer.page.route("**/graphql", refuse)
    short_explorer.press("Add an account")
    short_explorer.sign_in()
    short_explorer.wait_for_text("The earlier session of alice could not be signed out.")
    assert short_explorer.panel.get_by_role("radio").count() == 2
    short_explorer.page.unroute("**/graphql", refuse)
    short_explorer.press("Sign out alice")
    short_explorer.wait_for_text("alice is signed out.")
    sent = listen(short_explorer)
    short_explorer.page.wait_for_timeout(2 * TOKEN_ENDS_MS)
    assert sent == []


def test_panel_shows_the_account_of_a_running_subscription(explorer: ExplorerPage) -> None:
    notice = "A running subscription keeps the account that started it."
    explorer.sign_in()
    assert notice not in explorer.panel.inner_text()
    explorer.write("subscription { sessionEvents { kind } }")
    explorer.page.click(".graphiql-execute-button")
    explorer.wait_for_text(notice)
    explorer.choose("no account")
    # Waits until the socket is open.
    explorer.page.wait_for_timeout(500)
    log_in_elsewhere(explorer.base_url)
    explorer.until(lambda shown: '"SIGNED_IN"' in shown)
    assert notice in explorer.panel.inner_text()
    explorer.page.click(".graphiql-execute-button")
    explorer.panel.get_by_text(notice).wait_for(state="detached")


def test_explorer_stores_no_typed_text(explorer: ExplorerPage) -> None:
    explorer.ask(log_in("alice", "secret123"))
    explorer.write_headers({"Authorization": "Bearer secret-header"})
    # The page stores its state with a delay.
    explorer.page.wait_for_timeout(1_000)
    for typed in ("Typed", "secret123", "secret-header"):
        assert typed not in explorer.kept
