"""The `postern` command, run in the test process."""

import asyncio
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert
from typer.testing import CliRunner

from models.database import Database
from models.user import User
from postern.__main__ import main
from server.cli import main as cli
from server.cli import serve as cli_serve
from server.command_failure import CommandFailed
from server.settings import ConfigurationError, Settings
from server.worker import new_server
from tests.accounts import CREATED_AT
from tests.commands import run, run_failing, use_development_settings

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def development(monkeypatch: pytest.MonkeyPatch, sqlite_url: str) -> None:
    use_development_settings(monkeypatch, sqlite_url)


def test_accounts_are_listed_newest_first() -> None:
    lines = run("user", "list").splitlines()
    assert [line.split()[1] for line in lines] == ["audrey", "sophie", "admin", "bob", "alice"]
    assert len(run("user", "list", "--search", "al").splitlines()) == 1


def test_user_list_lists_more_than_one_page(sqlite_url: str) -> None:
    names = [f"user{number}" for number in range(101)]
    rows = [{"username": name, "username_key": name, "created_at": CREATED_AT} for name in names]
    asyncio.run(_add(sqlite_url, rows))
    assert len(run("user", "list").splitlines()) == 106


async def _add(url: str, rows: list[dict[str, Any]]) -> None:
    db = Database.connect(url)
    async with db.begin() as tx:
        await tx.execute(insert(User), rows)
    await db.close()


def test_user_is_disabled_and_enabled_by_username_or_email() -> None:
    assert run("user", "disable", "alice").endswith("disabled\n")
    assert run("user", "enable", "ALICE@example.com").endswith("active\n")


def test_user_roles_replaces_all_roles() -> None:
    assert " support,user  active" in run("user", "roles", "alice", "support", "user")
    assert " -  active" in run("user", "roles", "alice")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("user", "enable", "nobody"), "There is no such user. The account may have been deleted."),
        (("user", "roles", "alice", "king"), "There is no such role. It may have been deleted."),
        (("user", "roles", "admin"), "This is the last active admin."),
        (("user", "create", "--username", "alice"), "This username is taken. Choose another one."),
    ],
)
def test_refusal_is_printed_as_a_message(arguments: tuple[str, ...], message: str) -> None:
    assert run_failing(*arguments)[0].startswith(message)


def test_user_create_refuses_a_weak_password() -> None:
    messages = run_failing(
        "user", "create", "--username", "carol", "--password-stdin", stdin="carol\n"
    )
    assert messages[0] == "A password must have at least 8 characters."
    assert messages[1].startswith("A password must not contain your username")


def test_keys_are_listed_and_rotated() -> None:
    assert " current " in run("keys", "list")
    assert "signs from" in run("keys", "rotate")
    assert [line.split()[2] for line in run("keys", "list").splitlines()] == ["next", "current"]
    run("keys", "rotate", "--compromised")
    assert len(run("keys", "list").splitlines()) == 1


def test_doctor_reports_no_problems_of_a_valid_configuration() -> None:
    run("keys", "list")
    assert run("doctor") == "No problems found.\n"


def test_doctor_reports_all_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTERN_ENVIRONMENT", "production")
    problems = run_failing("doctor")
    assert [line.split()[0] for line in problems] == [
        "POSTERN_SECRET_KEY",
        "POSTERN_PUBLIC_URL",
        "POSTERN_BCRYPT_COST:",
    ]


@pytest.mark.parametrize(
    ("command", "page"),
    [
        (("schema", "export"), "schema.graphql"),
        (("access",), "docs/access.md"),
        (("errors",), "docs/errors.md"),
        (("settings",), "docs/settings.md"),
    ],
)
def test_reference_pages_are_printed(command: tuple[str, ...], page: str) -> None:
    assert run(*command) == (ROOT / page).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "problem",
    [CommandFailed("One.", "Two."), ConfigurationError(["One.", "Two."])],
)
def test_error_is_printed_without_a_traceback(
    problem: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise problem

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err == "postern: One.\npostern: Two.\n"


def test_unreachable_database_is_printed_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("POSTERN_DATABASE_URL", "postgresql://postern:hunter2@127.0.0.1:1/postern")
    monkeypatch.setattr(sys, "argv", ["postern", "migrate"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    printed = capsys.readouterr().err
    assert printed.startswith("postern: The database cannot be reached (ConnectionRefusedError)")
    assert "POSTERN_DATABASE_URL" in printed


@pytest.mark.parametrize("command", [("user", "list"), ("keys", "list"), ("doctor",)])
def test_command_on_an_empty_database_asks_to_migrate_it(
    monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setenv("POSTERN_DATABASE_URL", "sqlite:///empty.db")
    with pytest.raises((CommandFailed, ConfigurationError), match="Run `postern migrate`"):
        CliRunner().invoke(cli.app, command, catch_exceptions=False)


def test_migrate_creates_the_database_and_can_run_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTERN_DATABASE_URL", "sqlite:///folder/new.db")
    for _ in range(2):
        assert run("migrate") == "The database is up to date.\n"
    assert run("user", "list") == ""


def test_password_is_not_accepted_as_an_option() -> None:
    command = ["user", "create", "--username", "carol", "--password", "hunter2 and more"]
    assert CliRunner().invoke(cli.app, command).exit_code == 2
    assert len(run("user", "list").splitlines()) == 5


@pytest.mark.parametrize("username", ["carol", "alice"])
def test_password_is_not_printed(username: str) -> None:
    password = "hunter2 and more"
    result = CliRunner().invoke(
        cli.app, ["user", "create", "--username", username, "--password-stdin"], input=password
    )
    assert "hunter2" not in result.output + str(result.exception)


@dataclass(frozen=True, slots=True)
class Start:
    """The arguments with which `serve` would start the server."""

    host: str
    port: int
    workers: int


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, restore_logging: None) -> list[Start]:
    """The servers that commands have started. None of them listens, as the port may be in use."""
    starts: list[Start] = []

    def run_server(_settings: Settings, addresses: list[tuple[str, int]], workers: int) -> None:
        ((host, port),) = addresses
        starts.append(Start(host, port, workers))

    monkeypatch.setattr(cli_serve, "listen", lambda host, port: [(host, port)])
    monkeypatch.setattr(cli_serve, "run_server", run_server)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    return starts


def test_serve_listens_on_loopback_by_default(started: list[Start]) -> None:
    run("serve")
    assert started == [Start("127.0.0.1", 8000, 1)]


def test_worker_uses_neither_proxy_headers_nor_logs_of_uvicorn() -> None:
    config = new_server().config
    for option in ("proxy_headers", "access_log", "server_header", "log_config"):
        assert not getattr(config, option)


def test_worker_uses_the_request_timeout_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("POSTERN_REQUEST_TIMEOUT", "3.5")
    assert new_server().config.http.timeout == 3.5  # type: ignore[union-attr]


def test_serve_option_overrides_the_environment_also_in_workers(
    started: list[Start], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSTERN_PORT", "9000")
    shown = run("serve", "--port", "9001", "--host", "localhost", "--workers", "2")
    assert started == [Start("localhost", 9001, 2)]
    assert (os.environ["POSTERN_PORT"], os.environ["POSTERN_HOST"]) == ("9001", "localhost")
    assert "http://localhost:9001/graphql" in shown


def test_serve_entry_point_reads_the_options(
    started: list[Start], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        sys, "argv", ["postern", "serve", "--port", "9001", "--host", "localhost", "--workers", "2"]
    )
    main()
    assert started == [Start("localhost", 9001, 2)]


def test_serve_entry_point_has_the_same_options_as_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["postern", "serve", "--help"])
    with pytest.raises(SystemExit):
        main()
    alone = re.findall(r"--[a-z]+", capsys.readouterr().out)
    assert set(alone) == set(re.findall(r"--[a-z]+", run("serve", "--help")))


@pytest.mark.parametrize(
    "words", [["--workers", "0"], ["--port", "high"], ["--prot", "9001"], ["--po", "9001"]]
)
def test_serve_entry_point_refuses_invalid_options(
    words: list[str], started: list[Start], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["postern", "serve", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert (ended.value.code, started) == (2, [])


def test_keyboard_interrupt_prints_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli_serve, "read_settings", interrupt)
    monkeypatch.setattr(sys, "argv", ["postern", "serve"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert (ended.value.code, capsys.readouterr().err) == (130, "")


def test_broken_pipe_prints_no_traceback(
    capfd: pytest.CaptureFixture[str],
) -> None:
    def print_to_closed_pipe() -> None:
        raise BrokenPipeError

    with pytest.raises(SystemExit) as ended:
        cli_serve.run_command_line(print_to_closed_pipe)
    assert (ended.value.code, capfd.readouterr().err) == (1, "")


def test_serve_in_development_migrates_the_database(
    started: list[Start], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSTERN_DATABASE_URL", "sqlite:///new.db")
    run("serve")
    assert len(started) == 1
    assert run("doctor") == "No problems found.\n"


@pytest.fixture
def production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTERN_ENVIRONMENT", "production")
    monkeypatch.setenv("POSTERN_SECRET_KEY", "kX9v2mQ7rT4wY8zB3nL6pD1sF5hJ0cGa")
    monkeypatch.setenv("POSTERN_PUBLIC_URL", "https://auth.example.com")
    monkeypatch.setenv("POSTERN_BCRYPT_COST", "10")


@pytest.mark.usefixtures("production")
def test_serve_in_production_prints_only_logs(started: list[Start]) -> None:
    assert run("serve") == ""
    assert len(started) == 1


@pytest.mark.usefixtures("production")
def test_serve_in_production_does_not_migrate_and_does_not_start(
    started: list[Start], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSTERN_DATABASE_URL", "sqlite:///new.db")
    assert "Run `postern migrate`" in run_failing("serve")[0]
    assert started == []


def test_temporary_password_is_read_from_standard_input() -> None:
    out = run("user", "set-temporary-password", "alice", stdin="tulips in november\n")
    assert "alice" in out
    assert "tulips" not in out
