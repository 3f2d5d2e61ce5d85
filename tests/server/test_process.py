"""The server as a process: it starts, serves, and stops cleanly."""

from pathlib import Path

import httpx2

from tests.processes import running_server

DEVELOPMENT = {"POSTERN_ENVIRONMENT": "development"}


def test_sigterm_ends_the_server_cleanly(tmp_path: Path) -> None:
    with running_server(tmp_path, DEVELOPMENT) as server:
        assert httpx2.get(f"{server.base_url}/healthz").json() == {"status": "ok"}
        assert server.stop() == 0
