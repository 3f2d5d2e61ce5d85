"""The example clients stay signed in and sign out, each with its real package, in Node."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.browser.chromium import NODE, needs_node
from tests.databases import SqliteTemplates
from tests.examples.frontends import ADAPTERS, FOLDER, Frontend, frontend, needs_packages
from tests.people import ALICE, BOB
from tests.processes import Process, forked_server

pytestmark = [needs_node, needs_packages]

TOKEN_SECONDS = 2
LOGIN = """mutation($input: LoginInput!) {
  login(input: $input) { tokens { accessToken refreshToken } }
}"""
REFRESH = """mutation($input: RefreshTokensInput!) {
  refreshTokens(input: $input) { tokens { accessToken refreshToken } }
}"""
ENDED = "{ me { sessions(ended: true, first: 100) { nodes { id endReason } } } }"
REVOKE = """mutation($id: ID!) { revokeSession(input: {sessionId: $id}) { errors { code } } }"""


@pytest.fixture(scope="module")
def server(
    sqlite_templates: SqliteTemplates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Process]:
    folder = tmp_path_factory.mktemp("frontends")
    with forked_server(folder, settings_of(sqlite_templates.new(folder))) as server:
        yield server


def settings_of(database_url: str) -> dict[str, str]:
    return {
        "POSTERN_ENVIRONMENT": "development",
        "POSTERN_DATABASE_URL": database_url,
        "POSTERN_ACCESS_TOKEN_TTL": str(TOKEN_SECONDS),
        "POSTERN_BCRYPT_COST": "4",
    }


@pytest.fixture(params=ADAPTERS)
def client(request: pytest.FixtureRequest, server: Process) -> Iterator[Frontend]:
    """A frontend with each of the clients."""
    with frontend(request.param, server) as client:
        yield client


@pytest.fixture
def one(server: Process) -> Iterator[Frontend]:
    """A frontend, for what does not depend on the client."""
    with frontend("fetch", server) as one:
        yield one


class OtherDevice:
    """Another device of alice's."""

    def __init__(self, server: Process) -> None:
        self._url = f"{server.base_url}/graphql"
        typed = {"username": ALICE.username, "password": ALICE.password}
        self._tokens = self._post(LOGIN, {"input": typed})["login"]["tokens"]

    def ask(self, query: str, **variables: Any) -> Any:
        """Runs an operation with a fresh token."""
        spent = {"input": {"refreshToken": self._tokens["refreshToken"]}}
        self._tokens = self._post(REFRESH, spent)["refreshTokens"]["tokens"]
        return self._post(query, variables, self._tokens["accessToken"])

    def end_reason(self, session_id: str) -> str | None:
        """Why a session is over; None if it is not."""
        sessions = self.ask(ENDED)["me"]["sessions"]["nodes"]
        return {session["id"]: session["endReason"] for session in sessions}.get(session_id)

    def _post(self, query: str, variables: Any, token: str = "") -> Any:
        body = {"query": query, "variables": variables}
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx2.post(self._url, json=body, headers=headers).json()["data"]


def expire() -> None:
    time.sleep(TOKEN_SECONDS + 0.1)


def test_a_person_signs_in_and_out(client: Frontend, server: Process) -> None:
    wrong = client.do("signIn", username=ALICE.username, password="wrong")["errors"]
    assert [error["code"] for error in wrong] == ["INVALID_CREDENTIALS"]
    assert wrong[0]["message"] == "The username or the password is wrong."
    assert client.do("me")["me"] is None
    session_id = client.sign_in().session_id
    assert client.do("me")["me"] == "alice"
    client.do("signOut")
    client.hears(change="signedOut", reason="SIGNED_OUT")
    assert client.do("me")["me"] is None
    assert OtherDevice(server).end_reason(session_id) == "LOGGED_OUT"


def test_expired_tokens_are_renewed_once_for_all_that_ask(client: Frontend) -> None:
    client.sign_in()
    expire()
    assert client.do("together", count=5)["answered"] == ["alice"] * 5
    assert client.do("refreshes")["refreshes"] == 1


def test_refused_tokens_are_renewed_once_however_late_one_hears_of_it(
    client: Frontend, server: Process
) -> None:
    session_id = client.sign_in().session_id
    # Now the frontend believes that its token is good, and the server tells it otherwise.
    client.do("setClockBack", seconds=60)
    expire()
    assert client.do("together", count=5, late=1)["answered"] == ["alice"] * 5
    assert client.do("refreshes")["refreshes"] == 1
    expire()
    client.do("signOut")
    assert OtherDevice(server).end_reason(session_id) == "LOGGED_OUT"


def test_a_session_that_another_device_ends_is_heard_of_at_once(
    client: Frontend, server: Process
) -> None:
    other = OtherDevice(server)
    session_id = client.sign_in().session_id
    client.do("listen")
    client.hears(open=True)
    # Its token has been followed by another by then, and the socket has stayed.
    expire()
    client.do("me")
    client.hears(event="REFRESHED", current=True)
    assert not client.has_heard(closed=4403)
    assert other.ask(REVOKE, id=session_id)["revokeSession"]["errors"] == []
    began = time.monotonic()
    client.hears(change="signedOut", reason="REVOKED")
    assert time.monotonic() - began < 2
    assert client.do("me")["me"] is None


def test_whoever_does_not_listen_hears_of_the_end_with_the_next_request(
    client: Frontend, server: Process
) -> None:
    client.sign_in()
    OtherDevice(server).ask(REVOKE, id=client.session_id)
    assert client.do("me")["me"] is None
    client.hears(change="signedOut", reason="INVALID_REFRESH_TOKEN")


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


def test_what_the_examples_say_of_types_is_so() -> None:
    run = [NODE or "", str(FOLDER / "node_modules" / "typescript" / "bin" / "tsc")]
    done = subprocess.run(run, cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.stdout + done.stderr == ""
    assert done.returncode == 0
