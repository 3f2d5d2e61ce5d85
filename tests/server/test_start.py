"""Commands with an invalid configuration exit at once and print what to do."""

import asyncio
import io
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import text

from models.database import Database
from server.cli import serve as cli_serve
from server.cli.main import main
from tests.databases import PostgresqlTemplates

SECRET = "kX9v2mQ7rT4wY8zB3nL6pD1sF5hJ0cGa"
PRODUCTION = {
    "POSTERN_SECRET_KEY": SECRET,
    "POSTERN_PUBLIC_URL": "https://auth.example.com",
    "POSTERN_DATABASE_URL": "sqlite:///postern.db",
}


@dataclass(frozen=True, slots=True)
class Result:
    """The exit status and the output of a command."""

    returncode: int
    stdout: str
    stderr: str


Postern = Callable[..., Result]


@pytest.fixture
def postern(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], restore_logging: None
) -> Postern:
    """Runs a command in production mode and in a temporary folder, in this process."""
    monkeypatch.setattr(cli_serve, "run_server", lambda *_: pytest.fail("must not start"))

    def run(*arguments: str, stdin: str = "", **settings: str) -> Result:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {**PRODUCTION, **settings}.items():
                # An empty value means that the variable is not set.
                if value:
                    patch.setenv(name, value)
            patch.setattr(sys, "argv", ["postern", *arguments])
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
            with pytest.raises(SystemExit) as end:
                main()
        return Result(int(end.value.code or 0), *capsys.readouterr())

    return run


def error_output(result: Result) -> str:
    """Returns the error output of a command that failed."""
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert SECRET not in result.stdout + result.stderr
    return result.stderr


@pytest.mark.parametrize("secret", ["", "changeme"])
def test_serve_without_a_valid_secret_fails(postern: Postern, secret: str) -> None:
    assert "POSTERN_SECRET_KEY" in error_output(postern("serve", POSTERN_SECRET_KEY=secret))


def test_serve_reports_an_unmigrated_sqlite_database(postern: Postern) -> None:
    assert "Run `postern migrate`" in error_output(postern("serve"))


def test_serve_reports_an_unmigrated_postgresql_database(
    postern: Postern, postgresql_templates: PostgresqlTemplates
) -> None:
    url = postgresql_templates.empty()
    assert "Run `postern migrate`" in error_output(postern("serve", POSTERN_DATABASE_URL=url))


def test_serve_reports_an_unreachable_database_without_its_password(postern: Postern) -> None:
    url = "postgresql://postern:hunter2@127.0.0.1:1/postern"
    output = error_output(postern("serve", POSTERN_DATABASE_URL=url))
    assert "cannot be reached" in output
    assert "hunter2" not in output


def test_serve_reports_a_secret_that_does_not_decrypt_the_keys(postern: Postern) -> None:
    assert postern("migrate").returncode == 0
    assert postern("keys", "list").returncode == 0
    other = SECRET[::-1]
    assert "does not decrypt the signing keys" in error_output(
        postern("serve", POSTERN_SECRET_KEY=other)
    )
    both = postern("doctor", POSTERN_SECRET_KEY=f"{other},{SECRET}")
    assert both.stdout == "No problems found.\n"


def test_serve_reports_a_database_of_a_newer_version(postern: Postern, tmp_path: Path) -> None:
    postern("migrate")
    asyncio.run(_set_newer_version(f"sqlite:///{tmp_path / 'postern.db'}"))
    assert "newer version" in error_output(postern("serve"))


def test_operator_can_create_but_not_disable_the_last_admin(postern: Postern) -> None:
    postern("migrate")
    password = "a first password\n"
    made = postern(
        *("user", "create", "--username", "ada", "--email", "ada@example.com"),
        *("--role", "admin", "--password-stdin"),
        stdin=password,
    )
    assert re.fullmatch(r"[0-9a-f-]{36}  ada  ada@example.com  admin  active\n", made.stdout)
    assert password.strip() not in made.stdout + made.stderr
    assert "last active admin" in error_output(postern("user", "disable", "ada"))


def test_migrate_can_run_twice(postern: Postern) -> None:
    for _ in range(2):
        assert postern("migrate").stdout == "The database is up to date.\n"


async def _set_newer_version(url: str) -> None:
    db = Database.connect(url)
    async with db.begin() as tx:
        await tx.execute(text("UPDATE postern_alembic_version SET version_num = '9999'"))
    await db.close()
