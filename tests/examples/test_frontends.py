"""The example clients stay signed in and sign out, each with its real package, in Node."""

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
    """A frontend with each of the clients, for the whole file: Node takes its time to start."""
    with ExitStack() as stack:
        yield Clients([stack.enter_context(frontend(name, server)) for name in ADAPTERS])


@pytest.fixture
def one(server: Process) -> Iterator[Frontend]:
    """A frontend, for what does not depend on the client."""
    with frontend("fetch", server) as one:
        yield one


def expire() -> None:
    time.sleep(TOKEN_SECONDS + 0.1)


def test_a_person_signs_in_and_out(clients: Clients, server: Process) -> None:
    for told in clients.do("signIn", username=ALICE.username, password="wrong"):
        (error,) = told["errors"]
        assert error["code"] == "INVALID_CREDENTIALS"
        assert error["message"] == "The username or password is wrong."
    assert clients.do("me") == clients.each(me=None)
    clients.sign_in()
    session_ids = clients.session_ids()
    assert clients.do("me") == clients.each(me="alice")
    clients.do("signOut")
    clients.hear(change="signedOut", reason="SIGNED_OUT")
    assert clients.do("me") == clients.each(me=None)
    other = OtherDevice(server)
    assert [other.end_reason(session_id) for session_id in session_ids] == ["LOGGED_OUT"] * 5


def test_expired_tokens_are_renewed_once_for_all_that_ask(clients: Clients) -> None:
    clients.sign_in()
    expire()
    assert clients.do("together", count=5) == clients.each(answered=["alice"] * 5)
    assert clients.do("refreshes") == clients.each(refreshes=1)


def test_refused_tokens_are_renewed_once_however_late_one_hears_of_it(
    clients: Clients, server: Process
) -> None:
    clients.sign_in()
    session_ids = clients.session_ids()
    # Now the frontends believe that their tokens are good, and the server tells them otherwise.
    clients.do("setClockBack", seconds=60)
    expire()
    assert clients.do("together", count=5, late=1) == clients.each(answered=["alice"] * 5)
    assert clients.do("refreshes") == clients.each(refreshes=1)
    expire()
    clients.do("signOut")
    other = OtherDevice(server)
    assert [other.end_reason(session_id) for session_id in session_ids] == ["LOGGED_OUT"] * 5


def test_what_one_person_asked_is_not_done_in_the_name_of_the_next(clients: Clients) -> None:
    clients.sign_in()
    for client in clients.all:
        client.begin("rename", fullName="Alice the first", isHeld=True)
    clients.do("signOut")
    clients.sign_in(BOB)
    clients.do("letGo")
    assert [told["failed"] for told in clients.hear(done="rename")] == ["AnotherUser"] * 5
    assert clients.do("fullName") == clients.each(**{"is": None})


def test_what_somebody_asked_who_signed_out_is_refused(clients: Clients) -> None:
    clients.sign_in()
    for client in clients.all:
        client.begin("rename", fullName="Alice the second", isHeld=True)
    clients.do("signOut")
    clients.do("letGo")
    assert all(told.get("renamed") is None for told in clients.hear(done="rename"))
    clients.sign_in()
    assert clients.do("fullName") == clients.each(**{"is": None})


def test_listening_client_is_signed_out_by_the_event_of_another_device(
    sqlite_templates: SqliteTemplates, tmp_path: Path
) -> None:
    # The token does not expire here: nothing but the event can report the end.
    settings = settings_of(sqlite_templates.new(tmp_path)) | {"POSTERN_ACCESS_TOKEN_TTL": "900"}
    with forked_server(tmp_path, settings) as server, frontend("fetch", server) as one:
        one.sign_in().do("listen")
        one.hears(open=True)
        other = OtherDevice(server)
        assert other.ask(REVOKE, id=one.session_id)["revokeSession"]["errors"] == []
        one.hears(change="signedOut", reason="REVOKED_BY_OWNER")
        assert one.do("me")["me"] is None


def test_connection_lost_after_the_end_of_the_session_raises_nothing(one: Frontend) -> None:
    one.sign_in().do("loseConnection")
    one.hears(closed=1006)
    assert one.do("user")["user"] is None


def test_whoever_does_not_listen_hears_of_the_end_with_the_next_request(
    clients: Clients, server: Process
) -> None:
    clients.sign_in()
    OtherDevice(server).ask(EVERYWHERE)
    assert clients.do("me") == clients.each(me=None)
    clients.hear(change="signedOut", reason="INVALID_REFRESH_TOKEN")


def test_who_signs_in_over_somebody_signs_them_out(one: Frontend, server: Process) -> None:
    one.sign_in().do("listen", stays=True)
    one.hears(open=True)
    session_id = one.session_id
    typed = {"username": BOB.username, "password": BOB.password}
    assert one.do("signIn", **typed)["errors"] == []
    one.hears(change="signedOut")
    one.hears(change="signedIn")
    assert OtherDevice(server).end_reason(session_id) == "LOGGED_OUT"
    # The socket is bob's now.
    one.hears(open=True)
    one.do("refresh")
    one.hears(event="REFRESHED", current=True)
    assert one.do("me")["me"] == "bob"
    bob = OtherDevice(server, BOB)
    bob.ask(EVERYWHERE)
    one.hears(change="signedOut")
    one.hears(event="REVOKED", current=True)


def test_a_socket_stays_open_with_the_next_token(one: Frontend) -> None:
    one.sign_in().do("listen")
    one.hears(open=True)
    began = time.monotonic()
    while time.monotonic() - began < TOKEN_SECONDS + 0.5:
        time.sleep(TOKEN_SECONDS / 10)
        one.do("refresh")
    one.hears(event="REFRESHED", current=True)
    assert not one.has_heard(closed=4403)


def test_a_socket_comes_back_with_a_fresh_token_by_itself(one: Frontend) -> None:
    one.sign_in().do("listen")
    one.hears(open=True)
    one.hears(closed=4403)
    one.hears(open=True)
    assert one.do("user")["user"] == "alice"


def test_who_typed_too_many_wrong_passwords_is_told_how_long_to_wait(one: Frontend) -> None:
    for _ in range(10):
        one.do("signIn", username=BOB.username, password="wrong")
    (error,) = one.do("signIn", username=BOB.username, password=BOB.password)["errors"]
    assert error["code"] == "RATE_LIMITED"
    assert 1 <= error["retryAfter"] <= 2
    time.sleep(error["retryAfter"])
    one.sign_in(BOB)


def test_device_that_has_signed_in_before_is_not_delayed_by_strangers(
    one: Frontend, server: Process
) -> None:
    one.sign_in(SUPPORT).do("signOut")
    login = """mutation($input: LoginInput!) { login(input: $input) { errors { code } } }"""
    guess = {"username": SUPPORT.username, "password": "a guess"}
    body = {"query": login, "variables": {"input": guess}}
    told = [httpx2.post(f"{server.base_url}/graphql", json=body).json() for _ in range(11)]
    assert told[-1]["data"]["login"]["errors"] == [{"code": "RATE_LIMITED"}]
    one.sign_in(SUPPORT)


@pytest.mark.parametrize("tool", [["typescript/bin/tsc"], ["relay-compiler/cli.js", "--validate"]])
def test_types_and_what_relay_compiled_are_true(tool: list[str]) -> None:
    script, *options = tool
    run = [NODE or "", str(FOLDER / "node_modules" / script), *options]
    done = subprocess.run(run, cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_lock_names_versions_and_no_host() -> None:
    lock = json.loads((FOLDER / "package-lock.json").read_text(encoding="utf-8"))
    named = {name: package for name, package in lock["packages"].items() if name}
    assert all("integrity" in package and "resolved" not in package for package in named.values())
    wanted = json.loads((FOLDER / "package.json").read_text(encoding="utf-8"))
    versions = {**wanted["dependencies"], **wanted["devDependencies"]}
    assert versions == {name: named[f"node_modules/{name}"]["version"] for name in versions}
