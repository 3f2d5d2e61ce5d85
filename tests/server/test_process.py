"""The server as a process: startup, logs and shutdown."""

import concurrent.futures
import json
import signal
import stat
import time
from pathlib import Path
from typing import Any

import httpx2

from tests.processes import run_command, running_server

DEVELOPMENT = {"POSTERN_ENVIRONMENT": "development", "POSTERN_BCRYPT_COST": "4"}
PRODUCTION = {
    "POSTERN_SECRET_KEY": "kX9v2mQ7rT4wY8zB3nL6pD1sF5hJ0cGa",
    "POSTERN_PUBLIC_URL": "http://localhost",
    "POSTERN_DATABASE_URL": "sqlite:///postern.db",
}
LOGIN = (
    "mutation L($input: LoginInput!)"
    " { login(input: $input) { tokens { accessToken } errors { code } } }"
)


def log_in(base_url: str, password: str, username: str = "alice", **headers: str) -> Any:
    body = {"query": LOGIN, "variables": {"input": {"username": username, "password": password}}}
    reply = httpx2.post(f"{base_url}/graphql", json=body, headers=headers, timeout=30)
    return reply.json()["data"]["login"]


def log_lines(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


def test_first_start_in_development_creates_a_secret_and_accounts(tmp_path: Path) -> None:
    with running_server(tmp_path, {"POSTERN_ENVIRONMENT": "development"}) as server:
        assert log_in(server.base_url, "secret123")["tokens"]
        assert "account  alice / secret123" in server.output
        assert f"{server.base_url}/graphql" in server.output
    secret = tmp_path / "data" / "secret_key"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert stat.S_IMODE(secret.parent.stat().st_mode) == 0o700


def test_second_start_keeps_the_data_and_prints_no_password(tmp_path: Path) -> None:
    with running_server(tmp_path, DEVELOPMENT) as server:
        token = log_in(server.base_url, "secret123")["tokens"]["accessToken"]
        port = server.base_url.rpartition(":")[2]
    again = {**DEVELOPMENT, "POSTERN_ISSUER": f"http://localhost:{port}"}
    with running_server(tmp_path, {**again, "POSTERN_AUDIENCE": f"http://localhost:{port}"}) as two:
        headers = {"Authorization": f"Bearer {token}"}
        assert httpx2.get(f"{two.base_url}/users/me", headers=headers).status_code == 200
        assert "account" not in two.output


def test_admin_password_is_printed_once_and_not_logged(tmp_path: Path) -> None:
    with running_server(tmp_path, DEVELOPMENT) as server:
        line = next(x for x in server.output.splitlines() if "account  admin" in x)
        password = line.split()[3]
        assert log_in(server.base_url, password, username="admin")["tokens"]
        assert server.output.count(password) == 1
        assert "[info" not in line


def test_sigterm_waits_for_a_running_login_even_if_sent_twice(tmp_path: Path) -> None:
    with (
        running_server(tmp_path, {**DEVELOPMENT, "POSTERN_BCRYPT_COST": "13"}) as server,
        concurrent.futures.ThreadPoolExecutor() as pool,
    ):
        login = pool.submit(log_in, server.base_url, "wrong", username="nobody")
        time.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
        assert server.stop() == 0
        assert login.result()["errors"] == [{"code": "INVALID_CREDENTIALS"}]


def test_two_workers_share_one_port(tmp_path: Path) -> None:
    with running_server(tmp_path, DEVELOPMENT, "--workers", "2") as server:
        token = log_in(server.base_url, "secret123")["tokens"]["accessToken"]
        headers = {"Authorization": f"Bearer {token}"}
        replies = [httpx2.get(f"{server.base_url}/users/me", headers=headers) for _ in range(20)]
        assert {reply.status_code for reply in replies} == {200}
        assert server.output.count("account  alice") == 1
        assert server.stop() == 0


def test_production_logs_json_without_secrets_and_serves_no_pages(tmp_path: Path) -> None:
    run_command(tmp_path, "migrate", **PRODUCTION)
    password = "a long enough password"
    create = ("user", "create", "--username", "dora", "--password-stdin")
    run_command(tmp_path, *create, stdin=password, **PRODUCTION)
    with running_server(tmp_path, PRODUCTION) as server:
        url = server.base_url
        good = log_in(url, password, username="dora", **{"X-Request-Id": "good-one"})
        token = good["tokens"]["accessToken"]
        log_in(url, password + "x", username="dora")
        httpx2.post(f"{url}/token", data={"username": "dora", "password": password})
        httpx2.get(f"{url}/users/me?access_token={token}", headers={"Authorization": token})
        httpx2.get(f"{url}/a%0d%0aforged%1b[31m?password={password}")
        introspection = httpx2.post(
            f"{url}/graphql", json={"query": "{ __schema { types { name } } }"}
        )
        misspelt = httpx2.post(f"{url}/graphql", json={"query": "{ mee { id } }"})
        page = httpx2.get(f"{url}/graphql", headers={"Accept": "text/html"})
        statuses = [httpx2.get(f"{url}{path}").status_code for path in ("/docs", "/openapi.json")]
        output = server.output
    assert "data" not in introspection.json()
    assert "Did you mean" not in misspelt.text
    assert "<html" not in page.text
    assert statuses == [404, 404]
    assert "good-one" in [line.get("request_id") for line in log_lines(output)]
    for secret in (password, token, "bcrypt-sha256", "access_token", "\x1b", "\r"):
        assert secret not in output


def test_sigint_stops_the_server_without_a_traceback(tmp_path: Path) -> None:
    with running_server(tmp_path, DEVELOPMENT) as server:
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(timeout=20) == 0
        assert "Application shutdown complete" in server.output
        assert "Traceback" not in server.output


def test_port_in_use_is_reported(tmp_path: Path) -> None:
    with running_server(tmp_path, DEVELOPMENT) as server:
        port = server.base_url.rpartition(":")[2]
        second = run_command(tmp_path, "serve", POSTERN_PORT=port, **DEVELOPMENT)
    assert second.returncode != 0
    assert f"port {port}: Address already in use" in second.stderr
    assert "POSTERN_PORT" in second.stderr
    assert "Postern runs at" not in second.stdout


def test_concurrent_migrations_succeed(tmp_path: Path) -> None:
    with concurrent.futures.ThreadPoolExecutor() as pool:
        both = list(pool.map(lambda _: run_command(tmp_path, "migrate", **PRODUCTION), range(2)))
    assert [(result.returncode, result.stderr) for result in both] == [(0, "")] * 2
