"""A server as its operator runs it: a process of its own, on a socket."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx2

POSTERN = [sys.executable, "-m", "server"]
STARTS_WITHIN_SECONDS = 30


class Process:
    """A running server and what it prints."""

    def __init__(self, process: subprocess.Popen[bytes], base_url: str, log: Path) -> None:
        self.process = process
        self.base_url = base_url
        self._log = log

    @property
    def output(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def stop(self) -> int:
        """Asks the server to end, as an operator's process manager does; returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=20)


def environment(**settings: str) -> dict[str, str]:
    """The environment of a command: nothing of this machine but the path."""
    return {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1", **settings}


def run_command(
    folder: Path, *arguments: str, stdin: str = "", **settings: str
) -> subprocess.CompletedProcess[str]:
    """Runs a `postern` command to its end."""
    return subprocess.run(
        [*POSTERN, *arguments],
        cwd=folder,
        env=environment(**settings),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def running_server(folder: Path, settings: Mapping[str, str], *arguments: str) -> Iterator[Process]:
    """`postern serve` on a free port, ready to answer."""
    port = free_port()
    log = folder / "serve.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*POSTERN, "serve", *arguments],
            cwd=folder,
            env=environment(POSTERN_PORT=str(port), **settings),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Process(process, f"http://localhost:{port}", log)
    try:
        _wait_until_ready(server)
        yield server
    finally:
        # Its workers too: they outlive a parent that is killed.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(server: Process) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_SECONDS
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise AssertionError(f"the server stopped: {server.output}")
        try:
            if httpx2.get(f"{server.base_url}/readyz").status_code == 200:
                return
        except httpx2.TransportError:
            time.sleep(0.05)
    raise AssertionError(f"the server did not start: {server.output}")
