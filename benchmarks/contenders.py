"""Starts the servers that are measured, each as its documentation shows, all on one core."""

import asyncio
import json
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from benchmarks import cores
from benchmarks.load import HOST, Exchange
from benchmarks.users import (
    BenchmarkUser,
    copy_for_peers,
    fill_postern,
    read_settings,
    with_peer_tokens,
)
from tests.databases import PostgresqlTemplates, postgresql_folder
from tests.processes import environment, free_port, run_command, running_server

CONSTANT = "constant ASGI reply"
POSTERN = "Postern"
POSTERN_POSTGRESQL = "Postern, PostgreSQL"
MERCURIUS = "mercurius, JIT"
APOLLO = "Apollo Server"
PLAIN = "plain Strawberry"

ROOT = Path(__file__).parent.parent
NODE = Path(__file__).parent / "peers" / "node"
STARTS_WITHIN_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Contender:
    """A running server and the users that may call it."""

    name: str
    port: int
    pid: int
    users: Sequence[BenchmarkUser]

    def query(self, query: str, user: BenchmarkUser, holds: str) -> Exchange:
        """Returns the exchange of a query with the token of a user."""
        return self.exchange({"query": query}, holds, token=user.token)

    def exchange(self, body: Mapping[str, Any], holds: str, *, token: str = "") -> Exchange:
        """Returns the exchange of a request as a frontend sends it."""
        content = json.dumps(body).encode()
        lines = [
            "POST /graphql HTTP/1.1",
            f"Host: localhost:{self.port}",
            *([f"Authorization: Bearer {token}"] if token else []),
            "Content-Type: application/json",
            f"Content-Length: {len(content)}",
        ]
        head = "\r\n".join(lines).encode()
        return Exchange(b"\r\n\r\n".join([head, content]), holds.encode())


@contextmanager
def all_contenders(folder: Path, *, postgresql: bool) -> Iterator[dict[str, Contender]]:
    """Starts all contenders that can run here; prints a reason for each that cannot."""
    with ExitStack() as stack:
        found = [stack.enter_context(_postern(folder / "sqlite"))]
        peers = _Peers(folder, found[0].users)
        found += [
            stack.enter_context(peers.python(CONSTANT, "constant")),
            stack.enter_context(peers.python(PLAIN, "plain_strawberry")),
        ]
        if _can_run_node():
            found += [
                stack.enter_context(peers.node(MERCURIUS, "mercurius.mjs")),
                stack.enter_context(peers.node(APOLLO, "apollo.mjs")),
            ]
        if postgresql:
            found.append(stack.enter_context(_postern_on_postgresql(folder / "postgresql")))
        yield {contender.name: contender for contender in found}


@contextmanager
def _postern(
    folder: Path, name: str = POSTERN, url: str = "sqlite:///postern.db"
) -> Iterator[Contender]:
    """Starts Postern with only the settings that are required."""
    folder.mkdir()
    settings = {
        "POSTERN_ENVIRONMENT": "production",
        "POSTERN_SECRET_KEY": secrets.token_urlsafe(48),
        "POSTERN_PUBLIC_URL": "http://localhost",
        "POSTERN_DATABASE_URL": url.replace("sqlite:///", f"sqlite:///{folder}/"),
        # Uses this checkout instead of an installed version.
        "PYTHONPATH": str(ROOT),
    }
    done = run_command(folder, "migrate", **settings)
    assert done.returncode == 0, done.stderr
    users = asyncio.run(fill_postern(read_settings(settings)))
    with ExitStack() as stack:
        with cores.on_the_servers_core():
            server = stack.enter_context(running_server(folder, settings))
        port = int(server.base_url.rpartition(":")[2])
        try:
            yield Contender(name, port, server.process.pid, users)
        finally:
            _report_early_end(name, server.process.poll(), server.output)


@contextmanager
def _postern_on_postgresql(folder: Path) -> Iterator[Contender]:
    with postgresql_folder() as socket:
        url = PostgresqlTemplates(socket).empty()
        with _postern(folder, POSTERN_POSTGRESQL, url) as contender:
            yield contender


class _Peers:
    """The other servers; they share a copy of Postern's accounts and a secret."""

    def __init__(self, folder: Path, users: Sequence[BenchmarkUser]) -> None:
        self._folder = folder
        self._secret = secrets.token_urlsafe(48)
        self._users = with_peer_tokens(users, self._secret)
        self._database = folder / "peers.db"
        copy_for_peers(folder / "sqlite" / "postern.db", self._database)

    @contextmanager
    def python(self, name: str, module: str) -> Iterator[Contender]:
        """Starts an ASGI application of `benchmarks.peers` with the uvicorn options of Postern."""
        port = free_port()
        command = [sys.executable, "-m", "uvicorn", f"benchmarks.peers.{module}:app"]
        command += ["--host", HOST, "--port", str(port), "--loop", "uvloop", "--http", "httptools"]
        command += ["--no-access-log", "--no-server-header", "--log-level", "warning"]
        with self._started(name, port, command, ROOT) as contender:
            yield contender

    @contextmanager
    def node(self, name: str, script: str) -> Iterator[Contender]:
        """Starts a Node server."""
        with self._started(name, free_port(), ["node", script], NODE) as contender:
            yield contender

    @contextmanager
    def _started(self, name: str, port: int, command: list[str], cwd: Path) -> Iterator[Contender]:
        given = environment(
            NODE_ENV="production",
            PEER_PORT=str(port),
            PEER_SECRET=self._secret,
            PEER_DATABASE=str(self._database),
        )
        log = self._folder / f"{port}.log"
        with log.open("wb") as output, cores.on_the_servers_core():
            process = subprocess.Popen(
                command, cwd=cwd, env=given, stdout=output, stderr=subprocess.STDOUT
            )
        try:
            _wait_until_ready(process, port, log)
            yield Contender(name, port, process.pid, self._users)
        finally:
            _report_early_end(name, process.poll(), log.read_text(encoding="utf-8"))
            process.kill()
            process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx2.post(f"http://{HOST}:{port}/graphql", json={"query": "{ __typename }"})
        except httpx2.TransportError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"The server did not start: {log.read_text(encoding='utf-8')}")


def _report_early_end(name: str, code: int | None, output: str) -> None:
    if code is not None:
        print(f"{name} ended early with exit code {code}:\n{output[-2000:]}")


def _can_run_node() -> bool:
    if not shutil.which("node") or not shutil.which("npm"):
        print("Skipping mercurius and Apollo Server: Node is not installed.")
        return False
    installed, lock = NODE / "node_modules" / ".package-lock.json", NODE / "package-lock.json"
    if installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime:
        return True
    print("Running npm ci. It compiles SQLite if no binary is available, which takes a minute.")
    done = subprocess.run(["npm", "ci"], cwd=NODE, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"Skipping mercurius and Apollo Server: npm ci failed.\n{done.stderr}")
    return not done.returncode
