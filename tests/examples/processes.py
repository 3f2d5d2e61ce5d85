"""Runs the examples as processes."""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx2

from tests.processes import environment, free_port

ROOT = Path(__file__).parents[2]
SERVICES = ROOT / "examples" / "services"
_STARTS_WITHIN_SECONDS = 30


@contextmanager
def running_uvicorn(
    folder: Path, application: str, settings: Mapping[str, str], *, ready: str
) -> Iterator[str]:
    """Runs `uvicorn --factory`. Yields the URL."""
    command = [sys.executable, "-m", "uvicorn", "--factory", application]
    with running(folder, command, settings, ready=ready) as url:
        yield url


@contextmanager
def running(
    folder: Path, command: Sequence[str], settings: Mapping[str, str], *, ready: str
) -> Iterator[str]:
    """Runs a process that serves at a free port. Yields the URL."""
    port, log = str(free_port()), folder / f"{uuid4().hex}.log"
    # The variables for the port of uvicorn, Node and Postern.
    ports = {"UVICORN_PORT": port, "PORT": port, "POSTERN_PORT": port}
    given = environment(PYTHONPATH=str(ROOT), **ports, **settings)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=given, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        _wait_until_ready(process, f"http://localhost:{port}{ready}", log)
        yield f"http://localhost:{port}"
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx2.get(url).status_code == 200:
                return
        except httpx2.TransportError:
            time.sleep(0.05)
    raise AssertionError(f"it did not start: {log.read_text(encoding='utf-8')}")
