"""The example clients in Node, with their real packages."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from tests.accounts import ALICE, BOB, SUPPORT
from tests.databases import SqliteTemplates
from tests.examples.devices import EVERYWHERE, OtherDevice
from tests.examples.frontends import (
    ADAPTERS,
    FOLDER,
    TOKEN_SECONDS,
    Clients,
    Frontend,
    frontend,
    needs_packages,
    settings_of,
)
from tests.node import NODE, needs_node
from tests.processes import Process, forked_server

pytestmark = [needs_node, needs_packages]

REVOKE = """mutation($id: ID!) { revokeSession(input: {sessionId: $id}) { errors { code } } }"""


@pytest.fixture(scope="module")
def server(
    sqlite_templates: SqliteTemplates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Process]:
    folder = tmp_path_factory.mktemp("frontends")
    with forked_server(folder, settings_of(sqlite_templates.new(folder))) as server:
        yield server


@pytest.fixture(scope="module")
def clients(server: Process) -> Iterator[Clients]:
    """A frontend per client, shared because Node starts slowly."""
    with ExitStack() as stack:
        yield Clients([stack.enter_context(frontend(name, server)) for name in ADAPTERS])


@pytest.fixture
def one(server: Process) -> Iterator[Frontend]:
    """A frontend, for tests that do not depend on the client."""
    with frontend("fetch", server) as one:
        yield one


def expire() -> None:
    time.sleep(TOKEN_SECONDS + 0.1)


def test_user_signs_in_and_out(clients: Clients, server: Process) -> None:
    for report in clients.do("signIn", username=ALICE.username, password="wrong"):
        (error,) = report["errors"]
        assert error["code"] == "INVALID_CREDENTIALS"
        assert error["message"] == "The username or password is wrong."
    assert clients.do("me") == clients.each(me=None)
    clients.sign_in()
    session_ids = clients.session_ids()
    assert clients.do("me") == clients.each(me="alice")
    clients.do("signOut")
    clients.wait_for(change="signedOut", reason="SIGNED_OUT")
    assert clients.do("me") == clients.each(me=None)
    other = OtherDevice(server)
    assert [other.end_reason(session_id) for session_id in session_ids] == ["LOGGED_OUT"] * 5


def test_concurrent_requests_share_one_refresh(clients: Clients) -> None:
    clients.sign_in()
    expire()
    assert clients.do("together", count=5) == clients.each(answered=["alice"] * 5)
    assert clients.do("refreshes") == clients.each(refreshes=1)


def test_late_refusals_of_a_token_cause_one_refresh(clients: Clients, server: Process) -> None:
    clients.sign_in()
    session_ids = clients.session_ids()
    # The frontends consider their tokens valid, but the server refuses them.
    clients.do("setClockBack", seconds=60)
    expire()
    assert clients.do("together", count=5, late=1) == clients.each(answered=["alice"] * 5)
    assert clients.do("refreshes") == clients.each(refreshes=1)
    expire()
    clients.do("signOut")
    other = OtherDevice(server)
    assert [other.end_reason(session_id) for session_id in session_ids] == ["LOGGED_OUT"] * 5


def test_request_of_one_user_is_not_sent_as_the_next_user(clients: Clients) -> None:
    clients.sign_in()
    for client in clients.all:
        client.start_action("rename", fullName="Alice the first", isHeld=True)
    clients.do("signOut")
    clients.sign_in(BOB)
    clients.do("letGo")
    assert [report["failed"] for report in clients.wait_for(done="rename")] == ["AnotherUser"] * 5
    assert clients.do("fullName") == clients.each(**{"is": None})


def test_request_of_a_signed_out_user_is_refused(clients: Clients) -> None:
    clients.sign_in()
    for client in clients.all:
        client.start_action("rename", fullName="Alice the second", isHeld=True)
    clients.do("signOut")
    clients.do("letGo")
    assert all(report.get("renamed") is None for report in clients.wait_for(done="rename"))
    clients.sign_in()
    assert clients.do("fullName") == clients.each(**{"is": None})


def test_subscribed_client_is_signed_out_by_the_event(
    sqlite_templates: SqliteTemplates, tmp_path: Path
) -> None:
    # The token does not expire here: nothing but the event can report the end.
    settings = settings_of(sqlite_templates.new(tmp_path)) | {"POSTERN_ACCESS_TOKEN_TTL": "900"}
    with forked_server(tmp_path, settings) as server, frontend("fetch", server) as one:
        one.sign_in().do("listen")
        one.wait_for(open=True)
        other = OtherDevice(server)
        assert other.ask(REVOKE, id=one.session_id)["revokeSession"]["errors"] == []
        one.wait_for(change="signedOut", reason="REVOKED_BY_OWNER")
        assert one.do("me")["me"] is None


def test_connection_lost_after_the_end_of_the_session_raises_no_error(one: Frontend) -> None:
    one.sign_in().do("loseConnection")
    one.wait_for(closed=1006)
    assert one.do("user")["user"] is None


def test_client_without_subscription_is_signed_out_by_its_next_request(
    clients: Clients, server: Process
) -> None:
    clients.sign_in()
    OtherDevice(server).ask(EVERYWHERE)
    assert clients.do("me") == clients.each(me=None)
    clients.wait_for(change="signedOut", reason="INVALID_REFRESH_TOKEN")


def test_sign_in_as_another_user_signs_out_the_first(one: Frontend, server: Process) -> None:
    one.sign_in().do("listen", stays=True)
    one.wait_for(open=True)
    session_id = one.session_id
    typed = {"username": BOB.username, "password": BOB.password}
    assert one.do("signIn", **typed)["errors"] == []
    one.wait_for(change="signedOut")
    one.wait_for(change="signedIn")
    assert OtherDevice(server).end_reason(session_id) == "LOGGED_OUT"
    # The socket belongs to bob.
    one.wait_for(open=True)
    one.do("refresh")
    one.wait_for(event="REFRESHED", current=True)
    assert one.do("me")["me"] == "bob"
    bob = OtherDevice(server, BOB)
    bob.ask(EVERYWHERE)
    one.wait_for(change="signedOut")
    one.wait_for(event="REVOKED", current=True)


def test_socket_stays_open_with_the_next_token(one: Frontend) -> None:
    one.sign_in().do("listen")
    one.wait_for(open=True)
    started = time.monotonic()
    while time.monotonic() - started < TOKEN_SECONDS + 0.5:
        time.sleep(TOKEN_SECONDS / 10)
        one.do("refresh")
    one.wait_for(event="REFRESHED", current=True)
    assert not one.has_received(closed=4403)


def test_socket_reconnects_with_a_new_token(one: Frontend) -> None:
    one.sign_in().do("listen")
    one.wait_for(open=True)
    one.wait_for(closed=4403)
    one.wait_for(open=True)
    assert one.do("user")["user"] == "alice"


def test_throttled_login_reports_the_delay(one: Frontend) -> None:
    for _ in range(10):
        one.do("signIn", username=BOB.username, password="wrong")
    (error,) = one.do("signIn", username=BOB.username, password=BOB.password)["errors"]
    assert error["code"] == "RATE_LIMITED"
    assert 1 <= error["retryAfter"] <= 2
    time.sleep(error["retryAfter"])
    one.sign_in(BOB)


def test_known_device_is_not_throttled_by_attempts_of_others(
    one: Frontend, server: Process
) -> None:
    one.sign_in(SUPPORT).do("signOut")
    login = """mutation($input: LoginInput!) { login(input: $input) { errors { code } } }"""
    guess = {"username": SUPPORT.username, "password": "a guess"}
    body = {"query": login, "variables": {"input": guess}}
    replies = [httpx2.post(f"{server.base_url}/graphql", json=body).json() for _ in range(11)]
    assert replies[-1]["data"]["login"]["errors"] == [{"code": "RATE_LIMITED"}]
    one.sign_in(SUPPORT)


@pytest.mark.parametrize("tool", [["typescript/bin/tsc"], ["relay-compiler/cli.js", "--validate"]])
def test_types_and_relay_artifacts_are_up_to_date(tool: list[str]) -> None:
    script, *options = tool
    run = [NODE or "", str(FOLDER / "node_modules" / script), *options]
    done = subprocess.run(run, cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_package_lock_pins_versions_without_registry_urls() -> None:
    lock = json.loads((FOLDER / "package-lock.json").read_text(encoding="utf-8"))
    named = {name: package for name, package in lock["packages"].items() if name}
    assert all("integrity" in package and "resolved" not in package for package in named.values())
    wanted = json.loads((FOLDER / "package.json").read_text(encoding="utf-8"))
    versions = {**wanted["dependencies"], **wanted["devDependencies"]}
    assert versions == {name: named[f"node_modules/{name}"]["version"] for name in versions}
