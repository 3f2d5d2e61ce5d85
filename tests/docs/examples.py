"""The examples of a page: requests with the replies that the page shows.

A `graphql` block is sent as it is. The title `As alice` adds her access token, and a `json` block
titled `Variables` adds variables. A `sh` block is run. The reply is compared with the next block
titled `Reply`: `…` matches any text, an ID any other ID, a time any other time.
"""

import json
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import translate
from pathlib import Path
from typing import Any

import httpx2
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.docs.markdown import Block, blocks_of
from tests.emails import Mailbox
from tests.processes import Process
from tests.sockets import PROTOCOL

ADDRESS = "localhost:8000"

_CLIENT = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_A_RECENT_SECOND = 1_700_000_000
_LOG_IN = (
    "mutation ($input: LoginInput!)"
    " { login(input: $input) { tokens { accessToken } user { username } } }"
)


@dataclass(frozen=True, slots=True)
class Example:
    """A request of a page and the reply that the page shows."""

    request: Block
    variables: Block | None
    reply: Block

    def __str__(self) -> str:
        return str(self.request)


def examples_of(page: Path) -> Iterator[Example]:
    """Yields the requests of a page that have a reply."""
    request = variables = None
    for block in blocks_of(page):
        if block.title == "Variables":
            variables = block
        elif block.title == "Reply":
            assert request, f"{block} has no request"
            yield Example(request, variables, block)
            request = variables = None
        else:
            request, variables = block, None


class Reader:
    """Runs the examples of a page in order, on one server."""

    def __init__(self, server: Process, mailbox: Mailbox) -> None:
        self._server = server
        self._http = httpx2.Client(base_url=server.base_url, headers={"User-Agent": _CLIENT})
        self._mailbox = mailbox
        self._read_emails = 0
        # From earlier replies: access tokens by username, and the last value of each field.
        self._tokens: dict[str, str] = {}
        self._known: dict[str, str] = {}

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def try_out(self, example: Example) -> Any:
        """Runs an example; returns the parsed reply if the page shows JSON, otherwise its text."""
        if example.request.language == "sh":
            return self._run(example.request.text, example.reply.language)
        variables = json.loads(example.variables.text) if example.variables else None
        username, document = example.request.title.removeprefix("As "), example.request.text
        if document.startswith("subscription"):
            return self._receive(document, username)
        return self._ask(document, self._filled_in(variables), username)

    def _ask(self, query: str, variables: Any, username: str = "") -> Any:
        headers = {"Authorization": f"Bearer {self._token_of(username)}"} if username else {}
        body = {"query": query, "variables": variables}
        reply = self._http.post("/graphql", json=body, headers=headers).json()
        self._learn(reply, "reply")
        return reply

    def _receive(self, subscription: str, username: str) -> Any:
        """Subscribes, signs the user in once more, and returns the first event."""
        address = self._server.base_url.replace("http", "ws") + "/graphql"
        token = self._token_of(username)
        with connect(address, subprotocols=[Subprotocol(PROTOCOL)]) as socket:
            for message in (
                {"type": "connection_init", "payload": {"Authorization": f"Bearer {token}"}},
                {"type": "subscribe", "id": "1", "payload": {"query": subscription}},
                {"type": "ping"},
            ):
                socket.send(json.dumps(message))
            while json.loads(socket.recv(10))["type"] != "pong":
                pass
            # The server starts the subscription shortly after it has received the message.
            time.sleep(0.5)
            self._log_in(username)
            return json.loads(socket.recv(10))["payload"]

    def _run(self, script: str, language: str) -> Any:
        tokens = {"TOKEN": self._token_of("alice"), "ADMIN_TOKEN": self._token_of("admin")}
        host = self._server.base_url.removeprefix("http://")
        found = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script.replace(ADDRESS, host)],
            env={"PATH": "/usr/bin:/bin", **tokens, **self._refresh()},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert found.returncode == 0, found.stderr
        text = found.stdout.replace(host, ADDRESS)
        # The port is part of the names of the cookies.
        port = host.rpartition(":")[2]
        for cookie in ("refresh", "device"):
            text = text.replace(f"_{cookie}_{port}=", f"_{cookie}_8000=")
        if language != "json":
            return text
        reply = json.loads(text)
        self._learn(reply, "reply")
        return reply

    def _refresh(self) -> dict[str, str]:
        token = self._known.get("refreshToken")
        return {"REFRESH_TOKEN": token} if token else {}

    def _token_of(self, username: str) -> str:
        if username not in self._tokens:
            self._log_in(username)
        return self._tokens[username]

    def _log_in(self, username: str) -> None:
        printed = re.search(rf"account  {username} / (\S+)", self._server.output)
        assert printed, f"The server did not print the password of {username}."
        self._ask(_LOG_IN, {"input": {"username": username, "password": printed[1]}})

    def _learn(self, value: Any, name: str) -> None:
        if isinstance(value, list):
            for each in value:
                self._learn(each, name)
        if not isinstance(value, dict):
            return
        user, tokens = value.get("user"), value.get("tokens")
        if isinstance(user, dict) and isinstance(tokens, dict):
            self._tokens[user["username"]] = tokens["accessToken"]
        for key, inner in value.items():
            if isinstance(inner, str):
                self._known[_name_in_inputs(key, name)] = inner
            self._learn(inner, name if key == "nodes" else key.removesuffix("s"))

    def _filled_in(self, variables: Any) -> Any:
        """Returns the variables with abbreviated values replaced by those of earlier replies."""
        if isinstance(variables, dict):
            return {
                key: self._known_value(key) if _is_cut(value) else self._filled_in(value)
                for key, value in variables.items()
            }
        return variables

    def _known_value(self, key: str) -> str | list[str]:
        if key in {"token", "invitation"}:
            return self._token_of_next_email()
        if key == "roleIds":
            return [self._known["roleId"]]
        return self._known[key]

    def _token_of_next_email(self) -> str:
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            emails = self._mailbox.emails()
            unread = emails[self._read_emails :]
            links = [email.token for email in unread if "#token=" in email.text]
            if links:
                self._read_emails = len(emails)
                return links[-1]
            time.sleep(0.1)
        raise AssertionError("no email with a link was sent")


def _name_in_inputs(key: str, parent: str) -> str:
    """Returns the input field for a field of a reply: `user { id }` is `userId`."""
    return {"id": f"{parent}Id", "refresh_token": "refreshToken"}.get(key, key)


def _is_cut(value: object) -> bool:
    texts = value if isinstance(value, list) else [value]
    return any(isinstance(text, str) and text.endswith("…") for text in texts)


def difference(shown: Any, real: Any, path: str = "") -> str:
    """Returns the first difference of a reply from the shown one; empty if they match."""
    if isinstance(shown, dict) and isinstance(real, dict):
        if list(shown) != list(real):
            return f"{path}: {list(shown)} is shown, {list(real)} received"
        return _first(difference(shown[key], real[key], f"{path}.{key}") for key in shown)
    if isinstance(shown, list) and isinstance(real, list):
        if shown and shown[-1] == "…":
            shown, real = shown[:-1], real[: len(shown) - 1]
        if len(shown) != len(real):
            return f"{path}: {len(shown)} are shown, {len(real)} received"
        pairs = enumerate(zip(shown, real, strict=True))
        return _first(difference(s, r, f"{path}[{i}]") for i, (s, r) in pairs)
    same = _matches(shown, real) if isinstance(shown, str) else _same(shown, real)
    return "" if same else f"{path}: {shown!r} is shown, {real!r} received"


def _first(found: Iterator[str]) -> str:
    return next((each for each in found if each), "")


def _same(shown: object, real: object) -> bool:
    are_instants = all(isinstance(each, int) and each > _A_RECENT_SECOND for each in (shown, real))
    return shown == real or are_instants


def _matches(shown: str, real: object) -> bool:
    if not isinstance(real, str):
        return False
    if any(form.fullmatch(shown) and form.fullmatch(real) for form in (_UUID, _INSTANT)):
        return True
    pattern = re.sub(r"[\[\]*?]", lambda found: f"[{found[0]}]", shown).replace("…", "*")
    return re.fullmatch(translate(pattern), real) is not None


def missing_lines(shown: str, real: str) -> list[str]:
    """Returns the shown lines that the real text does not contain."""
    received = [line.rstrip() for line in real.splitlines()]
    return [
        line
        for line in shown.splitlines()
        if line.strip(" …") and not any(_matches(line.rstrip(), each) for each in received)
    ]
