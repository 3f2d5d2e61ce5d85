"""Starts `postern` in processes of their own."""

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import httpx2

from server.cli import main as cli

POSTERN = [sys.executable, "-m", "postern"]
# Long, so that tests pass on a busy machine.
STARTS_WITHIN_SECONDS = 120


# Imports take most of the start time, so servers are forked from a process that has done them.
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["server.cli.main", "tests.processes"])


class Child(Protocol):
    """A child process."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, sig: int, /) -> None: ...

    def kill(self) -> None: ...


class Forked:
    """A process forked from one that has imported the server."""

    def __init__(self, start: Callable[..., None], *arguments: object) -> None:
        self._process = _FORKS.Process(target=start, args=arguments)
        self._process.start()
        assert self._process.pid
        self.pid: int = self._process.pid
        self._status: int | None = None

    def poll(self) -> int | None:
        return self._process.exitcode if self._status is None else self._status

    def wait(self, timeout: float | None = None) -> int:
        if self._status is None:
            self._process.join(timeout)
            self._status = self._process.exitcode
            assert self._status is not None, "the process is still running"
            # The pipes of the process stay open until then.
            self._process.close()
        return self._status

    def send_signal(self, sig: int, /) -> None:
        os.kill(self.pid, sig)

    def kill(self) -> None:
        if self._status is None:
            self._process.kill()


class Process:
    """A running server and its output."""

    def __init__(self, process: Child, base_url: str, log: Path) -> None:
        self.process = process
        self.base_url = base_url
        self._log = log

    @property
    def output(self) -> str:
        return self._log.read_text(encoding="utf-8")

    @property
    def resident_bytes(self) -> int:
        """The resident memory of the process."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024

    def stop(self) -> int:
        """Sends SIGTERM and waits. Returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


def environment(**settings: str) -> dict[str, str]:
    """Returns the environment of a command: PATH and the given settings."""
    return {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1", **settings}


def run_command(
    folder: Path, *arguments: str, stdin: str = "", **settings: str
) -> subprocess.CompletedProcess[str]:
    """Runs a `postern` command and waits for it."""
    return subprocess.run(
        [*POSTERN, *arguments],
        cwd=folder,
        env=environment(**settings),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


@contextmanager
def running_server(
    folder: Path, settings: Mapping[str, str], *arguments: str, port: int | None = None
) -> Iterator[Process]:
    """Runs `postern serve` on a free port. Yields when it is ready."""

    def start(given: dict[str, str], log: Path) -> Child:
        with log.open("wb") as output:
            return subprocess.Popen(
                [*POSTERN, "serve", *arguments],
                cwd=folder,
                env=given,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    with _serving(folder, settings, start, port) as server:
        yield server


@contextmanager
def uvicorn_server(folder: Path, settings: Mapping[str, str]) -> Iterator[Process]:
    """Runs the application in plain uvicorn, without `postern serve`."""

    def start(given: dict[str, str], log: Path) -> Child:
        command = ["-m", "uvicorn", "--factory", "server.process:app"]
        with log.open("wb") as output:
            return subprocess.Popen(
                [sys.executable, *command, "--port", given["POSTERN_PORT"]],
                cwd=folder,
                env={**given, "PYTHONPATH": str(Path(__file__).parents[1])},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    with _serving(folder, settings, start) as server:
        yield server


@contextmanager
def forked_server(
    folder: Path, settings: Mapping[str, str], port: int | None = None
) -> Iterator[Process]:
    """Runs `postern serve` in a forked process, which starts much faster."""

    def start(given: dict[str, str], log: Path) -> Child:
        return Forked(_serve, folder, given, log)

    with _serving(folder, settings, start, port) as server:
        yield server


def _serve(folder: Path, given: dict[str, str], log: Path) -> None:
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(given)
    with log.open("wb") as output:
        for descriptor in (1, 2):
            os.dup2(output.fileno(), descriptor)
    sys.argv = ["postern", "serve"]
    cli.main()


@contextmanager
def _serving(
    folder: Path,
    settings: Mapping[str, str],
    start: Callable[[dict[str, str], Path], Child],
    port: int | None = None,
) -> Iterator[Process]:
    port, log = port or free_port(), folder / f"serve-{uuid4().hex}.log"
    process = start(environment(POSTERN_PORT=str(port), **settings), log)
    server = Process(process, f"http://localhost:{port}", log)
    try:
        _wait_until_ready(server)
        yield server
    finally:
        # The whole process group: workers would outlive a killed parent.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def free_port() -> int:
    """Returns a free TCP port."""
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
