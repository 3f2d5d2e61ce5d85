"""A subscription to session events, with a real client, two processes and short-lived tokens."""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.accounts import ALICE
from tests.browser.chromium import PACKAGES, needs_packages
from tests.node import NODE, needs_node
from tests.processes import Process, forked_server

SUBSCRIBER = Path(PACKAGES).parent / "subscriber.mjs"
LOGIN = "mutation($input: LoginInput!) { login(input: $input) { tokens { accessToken } } }"
EVERYWHERE = "mutation { logoutEverywhere { endedSessions } }"


class Subscriber:
    """The subscriber process and the lines that it has printed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.events: list[dict[str, Any]] = []

    def wait_for(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Returns the next line that meets the condition."""
        assert self.process.stdout
        for line in self.process.stdout:
            self.events.append(json.loads(line))
            if condition(self.events[-1]):
                return self.events[-1]
        raise AssertionError(f"the subscriber exited before: {self.events}")


@contextmanager
def subscriber(server: Process) -> Iterator[Subscriber]:
    assert NODE
    process = subprocess.Popen(
        [NODE, str(SUBSCRIBER), f"{server.base_url}/graphql", ALICE.username, ALICE.password],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Subscriber(process)
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def ask(server: Process, query: str, token: str = "", **variables: Any) -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    reply = httpx2.post(
        f"{server.base_url}/graphql", json={"query": query, "variables": variables}, headers=headers
    )
    return reply.json()["data"]


@needs_node
@needs_packages
@pytest.mark.soak
def test_subscription_reports_session_events_of_other_processes(
    database_url: str, tmp_path: Path
) -> None:
    settings = {
        "POSTERN_ENVIRONMENT": "development",
        "POSTERN_DATABASE_URL": database_url,
        "POSTERN_PUBLIC_URL": "http://localhost",
        "POSTERN_SECRET_KEY": "a secret of the tests that is long enough",
        "POSTERN_ACCESS_TOKEN_TTL": "2",
        "POSTERN_BCRYPT_COST": "4",
    }
    with (
        forked_server(tmp_path, settings) as here,
        forked_server(tmp_path, settings) as there,
        subscriber(here) as frontend,
    ):
        frontend.wait_for(lambda event: "connected" in event)
        # The token expires. The server closes the socket, and the client reconnects with a new one.
        assert frontend.wait_for(lambda event: "closed" in event)["closed"] == 4403
        frontend.wait_for(lambda event: "connected" in event)
        # Another client signs in to the account, at the other process.
        variables = {"username": ALICE.username, "password": ALICE.password}
        token = ask(there, LOGIN, input=variables)["login"]["tokens"]["accessToken"]
        event = frontend.wait_for(lambda event: event.get("event") == "SIGNED_IN")
        assert event["current"] is False
        # It signs out everywhere. The subscriber is notified and does not reconnect.
        assert ask(there, EVERYWHERE, token)["logoutEverywhere"]["endedSessions"] == 2
        event = frontend.wait_for(
            lambda event: event.get("event") == "REVOKED" and event["current"]
        )
        assert frontend.wait_for(lambda event: "error" in event)["error"] == 4401
