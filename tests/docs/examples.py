"""The examples of a page: what is asked, by whom, and the reply that is shown.

A block `graphql` is sent as it stands; one titled `As alice` with her token, and a block `json`
titled `Variables` beside it. A block `sh` is run. The block titled `Reply` that follows is compared
with what comes back: `…` stands for any text, an id for any other, an instant for any other.
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
    """One request of a page, with the reply that the page shows."""

    request: Block
    variables: Block | None
    reply: Block

    def __str__(self) -> str:
        return str(self.request)


def examples_of(page: Path) -> Iterator[Example]:
    """What is asked on a page and has its reply beside it."""
    request = variables = None
    for block in blocks_of(page):
        if block.title == "Variables":
            variables = block
        elif block.title == "Reply":
            assert request, f"{block} replies to nothing"
            yield Example(request, variables, block)
            request = variables = None
        else:
            request, variables = block, None


class Reader:
    """Somebody who tries the examples of a page one after the other, on a server of their own."""

    def __init__(self, server: Process, mailbox: Mailbox) -> None:
        self._server = server
        self._http = httpx2.Client(base_url=server.base_url, headers={"User-Agent": _CLIENT})
        self._mailbox = mailbox
        self._read_mails = 0
        # What replies have told: tokens by person, and the newest of everything by its name.
        self._tokens: dict[str, str] = {}
        self._known: dict[str, str] = {}

    def close(self) -> None:
        """Ends the connections."""
        self._http.close()

    def try_out(self, example: Example) -> Any:
        """What comes back: parsed where the page shows JSON, otherwise text."""
        if example.request.language == "sh":
            return self._run(example.request.text, example.reply.language)
        variables = json.loads(example.variables.text) if example.variables else None
        person, document = example.request.title.removeprefix("As "), example.request.text
        if document.startswith("subscription"):
            return self._hear(document, person)
        return self._ask(document, self._filled_in(variables), person)

    def _ask(self, query: str, variables: Any, person: str = "") -> Any:
        headers = {"Authorization": f"Bearer {self._token_of(person)}"} if person else {}
        body = {"query": query, "variables": variables}
        reply = self._http.post("/graphql", json=body, headers=headers).json()
        self._learn(reply, "reply")
        return reply

    def _hear(self, subscription: str, person: str) -> Any:
        """The first event of a subscription; meanwhile the person signs in once more."""
        address = self._server.base_url.replace("http", "ws") + "/graphql"
        token = self._token_of(person)
        with connect(address, subprotocols=[Subprotocol(PROTOCOL)]) as socket:
            for message in (
                {"type": "connection_init", "payload": {"Authorization": f"Bearer {token}"}},
                {"type": "subscribe", "id": "1", "payload": {"query": subscription}},
                {"type": "ping"},
            ):
                socket.send(json.dumps(message))
            while json.loads(socket.recv(10))["type"] != "pong":
                pass
            # The server begins to listen a moment after it has taken the message.
            time.sleep(0.5)
            self._log_in(person)
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
        # The names of the cookies have the port.
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

    def _token_of(self, person: str) -> str:
        if person not in self._tokens:
            self._log_in(person)
        return self._tokens[person]

    def _log_in(self, person: str) -> None:
        told = re.search(rf"account  {person} / (\S+)", self._server.output)
        assert told, f"nobody told the password of {person}"
        self._ask(_LOG_IN, {"input": {"username": person, "password": told[1]}})

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
        """The variables, with what was told earlier where the page has cut it short."""
        if isinstance(variables, dict):
            return {
                key: self._recalled(key) if _is_cut(value) else self._filled_in(value)
                for key, value in variables.items()
            }
        return variables

    def _recalled(self, key: str) -> str | list[str]:
        if key in {"token", "invitation"}:
            return self._token_of_next_mail()
        if key == "roleIds":
            return [self._known["roleId"]]
        return self._known[key]

    def _token_of_next_mail(self) -> str:
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            mails = self._mailbox.emails()
            links = [mail.token for mail in mails[self._read_mails :] if "#token=" in mail.text]
            if links:
                self._read_mails = len(mails)
                return links[-1]
            time.sleep(0.1)
        raise AssertionError("no mail with a link came")


def _name_in_inputs(key: str, parent: str) -> str:
    """What inputs call a value that a reply calls so: `user { id }` is `userId`."""
    return {"id": f"{parent}Id", "refresh_token": "refreshToken"}.get(key, key)


def _is_cut(value: object) -> bool:
    texts = value if isinstance(value, list) else [value]
    return any(isinstance(text, str) and text.endswith("…") for text in texts)


def difference(shown: Any, real: Any, path: str = "") -> str:
    """Where a reply is not as it is shown; empty if it is."""
    if isinstance(shown, dict) and isinstance(real, dict):
        if list(shown) != list(real):
            return f"{path}: {list(shown)} is shown, {list(real)} came"
        return _first(difference(shown[key], real[key], f"{path}.{key}") for key in shown)
    if isinstance(shown, list) and isinstance(real, list):
        if shown and shown[-1] == "…":
            shown, real = shown[:-1], real[: len(shown) - 1]
        if len(shown) != len(real):
            return f"{path}: {len(shown)} are shown, {len(real)} came"
        pairs = enumerate(zip(shown, real, strict=True))
        return _first(difference(s, r, f"{path}[{i}]") for i, (s, r) in pairs)
    same = _alike(shown, real) if isinstance(shown, str) else _same(shown, real)
    return "" if same else f"{path}: {shown!r} is shown, {real!r} came"


def _first(found: Iterator[str]) -> str:
    return next((each for each in found if each), "")


def _same(shown: object, real: object) -> bool:
    are_instants = all(isinstance(each, int) and each > _A_RECENT_SECOND for each in (shown, real))
    return shown == real or are_instants


def _alike(shown: str, real: object) -> bool:
    if not isinstance(real, str):
        return False
    if any(form.fullmatch(shown) and form.fullmatch(real) for form in (_UUID, _INSTANT)):
        return True
    pattern = re.sub(r"[\[\]*?]", lambda found: f"[{found[0]}]", shown).replace("…", "*")
    return re.fullmatch(translate(pattern), real) is not None


def lines_that_did_not_come(shown: str, real: str) -> list[str]:
    """Of the lines that are shown, those that are in no place of what came."""
    came = [line.rstrip() for line in real.splitlines()]
    return [
        line
        for line in shown.splitlines()
        if line.strip(" …") and not any(_alike(line.rstrip(), each) for each in came)
    ]
