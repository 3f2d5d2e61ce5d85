"""Frontends that use the example clients, each a Node process of its own."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.accounts import ALICE, Account
from tests.examples.bad_line import BadLine
from tests.node import NODE, needs_packages_of
from tests.processes import Process

FOLDER = Path(__file__).parents[2] / "examples" / "frontends"
DRIVER = Path(__file__).with_name("driver.mjs")
ADAPTERS = ("apollo", "fetch", "graphql-request", "relay", "urql")

needs_packages = needs_packages_of(FOLDER)

TOKEN_SECONDS = 4

Told = dict[str, Any]


def settings_of(database_url: str) -> dict[str, str]:
    """A server whose access tokens live for a moment."""
    return {
        "POSTERN_ENVIRONMENT": "development",
        "POSTERN_DATABASE_URL": database_url,
        "POSTERN_ACCESS_TOKEN_TTL": str(TOKEN_SECONDS),
        "POSTERN_BCRYPT_COST": "4",
    }


class Frontend:
    """A person's frontend: does what it is told, and tells what it hears."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._unheard: list[Told] = []

    def begin(self, action: str, **given: Any) -> None:
        """Has something done, without waiting for it."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"action": action, **given}) + "\n")
        self._process.stdin.flush()

    def do(self, action: str, **given: Any) -> Told:
        """Has something done, and returns what came of it."""
        self.begin(action, **given)
        return self.hears(done=action)

    def hears(self, **wanted: Any) -> Told:
        """The next of what it tells that holds all of these."""
        for told in self._unheard:
            if wanted.items() <= told.items():
                self._unheard.remove(told)
                return told
        assert self._process.stdout
        for line in self._process.stdout:
            now: Told = json.loads(line)
            if wanted.items() <= now.items():
                return now
            self._unheard.append(now)
        raise AssertionError(f"it ended before {wanted}: {self._unheard}")

    def has_heard(self, **wanted: Any) -> bool:
        """Whether it told so already, and nobody asked."""
        self.do("user")
        return any(wanted.items() <= told.items() for told in self._unheard)

    @property
    def session_id(self) -> str:
        """The session that it has."""
        return str(self.do("session")["id"])

    def sign_in(self, account: Account = ALICE) -> "Frontend":
        """Signs somebody in."""
        typed = {"username": account.username, "password": account.password}
        assert self.do("signIn", **typed)["errors"] == []
        self.hears(change="signedIn")
        # What was told until now is of those who were signed in before.
        self._unheard.clear()
        return self


class Clients:
    """Several frontends that do the same at the same time."""

    def __init__(self, frontends: list[Frontend]) -> None:
        self.all = frontends

    def do(self, action: str, **given: Any) -> list[Told]:
        """Has each do something, and returns what came of it."""
        for one in self.all:
            one.begin(action, **given)
        return self.hear(done=action)

    def hear(self, **wanted: Any) -> list[Told]:
        """What each tells next that holds all of these, without these."""
        heard = [one.hears(**wanted) for one in self.all]
        return [{name: told[name] for name in told.keys() - wanted.keys()} for told in heard]

    def each(self, **told: Any) -> list[Told]:
        """This, once for each."""
        return [told] * len(self.all)

    def sign_in(self, account: Account = ALICE) -> None:
        """Signs somebody in at each, who may be signed in already."""
        for one in self.all:
            one.sign_in(account)

    def session_ids(self) -> list[str]:
        """The session that each has."""
        return [one.session_id for one in self.all]


@contextmanager
def frontend(adapter: str, server: Process | BadLine) -> Iterator[Frontend]:
    """Starts one."""
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
