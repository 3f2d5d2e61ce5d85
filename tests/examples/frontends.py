"""Frontends with the example clients, as Node processes."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.accounts import ALICE, Account
from tests.examples.faulty_proxy import FaultyProxy
from tests.node import NODE, needs_packages_of
from tests.processes import Process

FOLDER = Path(__file__).parents[2] / "examples" / "frontends"
DRIVER = Path(__file__).with_name("driver.mjs")
ADAPTERS = ("apollo", "fetch", "graphql-request", "relay", "urql")

needs_packages = needs_packages_of(FOLDER)

TOKEN_SECONDS = 4

Report = dict[str, Any]


def settings_of(database_url: str) -> dict[str, str]:
    """Returns the settings of a server with short-lived access tokens."""
    return {
        "POSTERN_ENVIRONMENT": "development",
        "POSTERN_DATABASE_URL": database_url,
        "POSTERN_ACCESS_TOKEN_TTL": str(TOKEN_SECONDS),
        "POSTERN_BCRYPT_COST": "4",
    }


class Frontend:
    """A frontend: runs actions, and reports its events."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._unread: list[Report] = []

    def start_action(self, action: str, **given: Any) -> None:
        """Starts an action, without waiting for it."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"action": action, **given}) + "\n")
        self._process.stdin.flush()

    def do(self, action: str, **given: Any) -> Report:
        """Runs an action, and returns its report."""
        self.start_action(action, **given)
        return self.wait_for(done=action)

    def wait_for(self, **wanted: Any) -> Report:
        """Waits for the next report with all of these values, and returns it."""
        for report in self._unread:
            if wanted.items() <= report.items():
                self._unread.remove(report)
                return report
        assert self._process.stdout
        for line in self._process.stdout:
            now: Report = json.loads(line)
            if wanted.items() <= now.items():
                return now
            self._unread.append(now)
        raise AssertionError(f"it ended before {wanted}: {self._unread}")

    def has_received(self, **wanted: Any) -> bool:
        """Returns whether such a report was received and not read yet."""
        self.do("user")
        return any(wanted.items() <= report.items() for report in self._unread)

    @property
    def session_id(self) -> str:
        """The ID of its session."""
        return str(self.do("session")["id"])

    def sign_in(self, account: Account = ALICE) -> "Frontend":
        """Signs in."""
        typed = {"username": account.username, "password": account.password}
        assert self.do("signIn", **typed)["errors"] == []
        self.wait_for(change="signedIn")
        # Earlier reports belong to the previous user.
        self._unread.clear()
        return self


class Clients:
    """Several frontends that do the same concurrently."""

    def __init__(self, frontends: list[Frontend]) -> None:
        self.all = frontends

    def do(self, action: str, **given: Any) -> list[Report]:
        """Runs an action in each, and returns the reports."""
        for one in self.all:
            one.start_action(action, **given)
        return self.wait_for(done=action)

    def wait_for(self, **wanted: Any) -> list[Report]:
        """Waits for a report with these values from each. Returns the other values."""
        reports = [one.wait_for(**wanted) for one in self.all]
        return [
            {name: report[name] for name in report.keys() - wanted.keys()} for report in reports
        ]

    def each(self, **report: Any) -> list[Report]:
        """Returns this report, once for each frontend."""
        return [report] * len(self.all)

    def sign_in(self, account: Account = ALICE) -> None:
        """Signs in at each, even if another user is signed in."""
        for one in self.all:
            one.sign_in(account)

    def session_ids(self) -> list[str]:
        """The IDs of the sessions."""
        return [one.session_id for one in self.all]


@contextmanager
def frontend(adapter: str, server: Process | FaultyProxy) -> Iterator[Frontend]:
    """Starts a frontend."""
    assert NODE
    process = subprocess.Popen(
        [NODE, str(DRIVER), str(FOLDER), adapter, f"{server.base_url}/graphql"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Frontend(process)
    finally:
        process.kill()
        process.communicate()
