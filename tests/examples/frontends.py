"""Frontends that use the example clients, each a Node process of its own."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.browser.chromium import NODE
from tests.people import ALICE, Account
from tests.processes import Process

FOLDER = Path(__file__).parents[2] / "examples" / "frontends"
DRIVER = Path(__file__).with_name("driver.mjs")
ADAPTERS = ("apollo", "fetch", "graphql-request", "relay", "urql")

needs_packages = pytest.mark.skipif(
    not (FOLDER / "node_modules").exists(), reason="run `npm ci` in examples/frontends first"
)

Told = dict[str, Any]


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
            told = json.loads(line)
            if wanted.items() <= told.items():
                return told
            self._unheard.append(told)
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
        return self


@contextmanager
def frontend(adapter: str, server: Process) -> Iterator[Frontend]:
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
