"""Starting: with a configuration that cannot work the server stops at once and says what to do."""

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
    """What a command has done."""

    returncode: int
    stdout: str
    stderr: str


Postern = Callable[..., Result]


@pytest.fixture
def postern(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], restore_logging: None
) -> Postern:
    """Runs a command in production and in a folder of its own, in this process."""
    monkeypatch.setattr(cli_serve, "run_server", lambda *_: pytest.fail("it must not serve"))

    def run(*arguments: str, stdin: str = "", **settings: str) -> Result:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {**PRODUCTION, **settings}.items():
                # What is empty is not said at all.
                if value:
                    patch.setenv(name, value)
            patch.setattr(sys, "argv", ["postern", *arguments])
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
            with pytest.raises(SystemExit) as end:
                main()
        return Result(int(end.value.code or 0), *capsys.readouterr())

    return run


def told(result: Result) -> str:
    """What a command that stopped has said."""
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert SECRET not in result.stdout + result.stderr
    return result.stderr


@pytest.mark.parametrize("secret", ["", "changeme"])
def test_without_a_good_secret_it_does_not_start(postern: Postern, secret: str) -> None:
    assert "POSTERN_SECRET_KEY" in told(postern("serve", POSTERN_SECRET_KEY=secret))


def test_an_unmigrated_sqlite_file_is_told(postern: Postern) -> None:
    assert "run `postern migrate`" in told(postern("serve"))


def test_an_unmigrated_postgresql_is_told(
    postern: Postern, postgresql_templates: PostgresqlTemplates
) -> None:
    url = postgresql_templates.empty()
    assert "run `postern migrate`" in told(postern("serve", POSTERN_DATABASE_URL=url))


def test_an_unreachable_database_is_told_without_its_password(
    postern: Postern,
) -> None:
    url = "postgresql://postern:hunter2@127.0.0.1:1/postern"
    said = told(postern("serve", POSTERN_DATABASE_URL=url))
    assert "cannot be reached" in said
    assert "hunter2" not in said


def test_another_secret_than_that_of_the_keys_is_told(postern: Postern) -> None:
    assert postern("migrate").returncode == 0
    assert postern("keys", "list").returncode == 0
    other = SECRET[::-1]
    assert "does not open the signing keys" in told(postern("serve", POSTERN_SECRET_KEY=other))
    both = postern("doctor", POSTERN_SECRET_KEY=f"{other},{SECRET}")
    assert both.stdout == "All is well.\n"


def test_a_database_of_a_newer_version_is_told(postern: Postern, tmp_path: Path) -> None:
    postern("migrate")
    asyncio.run(_become_newer(f"sqlite:///{tmp_path / 'postern.db'}"))
    assert "newer version" in told(postern("serve"))


def test_an_operator_manages_accounts(postern: Postern) -> None:
    postern("migrate")
    password = "an operator's first one\n"
    made = postern(
        *("user", "create", "--username", "ada", "--email", "ada@example.com"),
        *("--role", "admin", "--password-stdin"),
        stdin=password,
    )
    assert re.fullmatch(r"[0-9a-f-]{36}  ada  ada@example.com  admin  active\n", made.stdout)
    assert password.strip() not in made.stdout + made.stderr
    assert "last active administrator" in told(postern("user", "disable", "ada"))


def test_migrating_twice_is_harmless(postern: Postern) -> None:
    for _ in range(2):
        assert postern("migrate").stdout == "The database is up to date.\n"


async def _become_newer(url: str) -> None:
    db = Database.connect(url)
    async with db.begin() as tx:
        await tx.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    await db.close()
