"""Logging: one line per request, without secrets and forged lines."""

import asyncio
import io
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import structlog

from server import process
from server.logs import configure_logs, hide_secrets
from tests.accounts import ALICE
from tests.api import Api

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.usefixtures("restore_logging")


@pytest.mark.parametrize(
    "name", ["password", "new_password", "accessToken", "Authorization", "cookie", "password_hash"]
)
def test_field_named_like_a_secret_is_hidden(name: str) -> None:
    assert hide_secrets(None, "", {name: "hunter2", "status": 200}) == {
        name: "[hidden]",
        "status": 200,
    }


def test_production_logs_are_json(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(readable=False)
    structlog.get_logger("test").info("event", token="x", line="a\nb")
    line = json.loads(capsys.readouterr().out)
    assert (line["event"], line["token"], line["line"]) == ("event", "[hidden]", "a\nb")


def test_worker_process_logs_json_in_production(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, sqlite_url: str
) -> None:
    monkeypatch.setenv("POSTERN_SECRET_KEY", "kX9v2mQ7rT4wY8zB3nL6pD1sF5hJ0cGa")
    monkeypatch.setenv("POSTERN_PUBLIC_URL", "https://auth.example.com")
    monkeypatch.setenv("POSTERN_DATABASE_URL", sqlite_url)
    assert process.app().state.auth.token_policy.issuer == "https://auth.example.com"
    logging.getLogger("library").warning("careful")
    assert json.loads(capsys.readouterr().out)["event"] == "careful"


def test_libraries_log_in_the_same_format(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(readable=False)
    logging.getLogger("library").warning("careful")
    assert json.loads(capsys.readouterr().out)["logger"] == "library"


def test_traceback_does_not_contain_values_of_variables(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(password: str) -> None:
        raise RuntimeError(len(password))

    for readable in (True, False):
        configure_logs(readable=readable)
        try:
            fail("hunter2")
        except RuntimeError:
            structlog.get_logger("test").exception("event")
        shown = capsys.readouterr().out
        assert "RuntimeError" in shown
        assert "'hunter2'" not in shown.replace('fail("hunter2")', "")


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> io.StringIO:
    """The log output of a server in production."""
    # pytest replaces sys.stdout between the setup and the test.
    output = io.StringIO()
    monkeypatch.setattr(sys, "stdout", output)
    configure_logs(readable=False)
    # The HTTP client of the test would log too.
    caplog.set_level(logging.WARNING, logger="httpx2")
    return output


@pytest.fixture
def logged(shown: io.StringIO, sqlite_api: Api) -> Api:
    """A server in the test process that logs to `shown`."""
    shown.truncate(0)
    shown.seek(0)
    return sqlite_api


async def lines(shown: io.StringIO) -> list[dict[str, Any]]:
    # Lines are written at the end of the turn of the event loop.
    await asyncio.sleep(0)
    return [json.loads(line) for line in shown.getvalue().splitlines()]


@pytest.mark.parametrize("given", ["abc-1.2_3", "forged\nline", "a" * 65, ""])
async def test_request_is_logged_with_the_id_of_its_reply(
    logged: Api, shown: io.StringIO, given: str
) -> None:
    reply = await logged.http.get("/healthz", headers={b"X-Request-Id": given.encode()})
    (line,) = await lines(shown)
    assert line["request_id"] == reply.headers["x-request-id"]
    assert (line["event"], line["level"], line["status"]) == ("http.request_completed", "info", 200)


async def test_logs_contain_no_passwords_tokens_or_queries(logged: Api, shown: io.StringIO) -> None:
    token = await logged.log_in(ALICE)
    await logged.try_login("alice", "wrong-hunter2")
    for password in (ALICE.password, "wrong-hunter2"):
        await logged.http.post("/token", data={"username": "alice", "password": password})
    for bearer in (token, token + "x", "hunter2"):
        await logged.http.get("/users/me", headers={"Authorization": f"Bearer {bearer}"})
    await logged.http.get(f"/users/me?access_token={token}&password=hunter2")
    await logged.http.post(f"/graphql?access_token={token}", content=b"{hunter2")
    await asyncio.sleep(0)
    output = shown.getvalue()
    assert output.count('"event": "http.request_completed"') == 9
    for secret in (ALICE.password, "hunter2", token.split(".")[1], token.split(".")[2], "?", "$2"):
        assert secret not in output


async def test_path_with_control_characters_cannot_forge_a_line(
    logged: Api, shown: io.StringIO
) -> None:
    await logged.http.get("/a%0d%0a%7b%22event%22%3a1%7d%1b[31m%00%e2%80%ae")
    (line,) = await lines(shown)
    assert line["path"].isascii()
    assert line["path"].isprintable()


async def test_long_path_is_cut(logged: Api, shown: io.StringIO) -> None:
    await logged.http.get("/" + "long" * 10_000)
    await asyncio.sleep(0)
    assert 0 < len(shown.getvalue()) < 600


async def test_internal_error_is_logged_with_the_id_of_the_reply(
    logged: Api, shown: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_self: object) -> None:
        raise RuntimeError("a secret detail")

    monkeypatch.setattr("auth.tokens.keys.KeyRing.jwks", fail)
    reply = await logged.http.get("/.well-known/jwks.json")
    error, request = await lines(shown)
    assert error["request_id"] == request["request_id"] == reply.headers["x-request-id"]
    assert "RuntimeError: a secret detail" in error["exception"]


EMBEDDED = """
import asyncio, logging, sys
import httpx2, strawberry, structlog
from postern import Public, create_app

@strawberry.type
class Query:
    @strawberry.field(permission_classes=[Public])
    def fail(self, password: str) -> str:
        raise RuntimeError(len(password))

async def main():
    app = create_app(queries=[Query])
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="https://auth.example.com") as http:
        variables = {"password": "HUNTER-TWO"}
        query = "query ($password: String!) { fail(password: $password) }"
        await http.post("/graphql", json={"query": query, "variables": variables})

PREPARE
asyncio.run(main())
"""


def run_embedded(prepare: str, database_url: str) -> subprocess.CompletedProcess[str]:
    program = EMBEDDED.replace("PREPARE", prepare)
    settings = {
        "POSTERN_SECRET_KEY": "kX9v2mQ7rT4wY8zB3nL6pD1sF5hJ0cGa",
        "POSTERN_PUBLIC_URL": "https://auth.example.com",
        "POSTERN_DATABASE_URL": database_url,
    }
    command = [sys.executable, "-c", program]
    environment = {**os.environ, **settings}
    return subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=ROOT, env=environment
    )


@pytest.mark.parametrize(
    "prepare", ["", "logging.basicConfig(level=logging.INFO, stream=sys.stdout)"]
)
def test_embedded_application_logs_no_values_of_variables(prepare: str, sqlite_url: str) -> None:
    """Covers plain uvicorn, and an application with its own log handlers."""
    done = run_embedded(prepare, sqlite_url)
    printed = done.stdout + done.stderr
    assert "RuntimeError: 10" in printed
    assert "HUNTER" not in printed
    if not prepare:
        events = [json.loads(line)["event"] for line in done.stdout.splitlines()]
        assert events == ["graphql.internal_error", "http.request_completed"]


def test_application_that_configured_structlog_keeps_its_own(sqlite_url: str) -> None:
    prepare = "structlog.configure(processors=[lambda *_: sys.stdout.write('own\\n') and '' or ''])"
    done = run_embedded(prepare, sqlite_url)
    assert "own\n" in done.stdout
    assert "RuntimeError" not in done.stdout
