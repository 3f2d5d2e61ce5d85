"""Starting: with a configuration that cannot work the server stops at once and says what to do."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from models.database import Database
from tests.databases import PostgresqlTemplates
from tests.processes import run_command

SECRET = "kX9v2mQ7rT4wY8zB3nL6pD1sF5hJ0cGa"
PRODUCTION = {
    "POSTERN_SECRET_KEY": SECRET,
    "POSTERN_PUBLIC_URL": "https://auth.example.com",
    "POSTERN_DATABASE_URL": "sqlite:///postern.db",
}
Result = subprocess.CompletedProcess[str]


@pytest.fixture
def postern(tmp_path: Path) -> Callable[..., Result]:
    """Runs a command in a folder of its own, in production."""

    def run(*arguments: str, stdin: str = "", **settings: str) -> Result:
        said = {name: value for name, value in {**PRODUCTION, **settings}.items() if value}
        return run_command(tmp_path, *arguments, stdin=stdin, **said)

    return run


def told(result: Result) -> str:
    """What a command that stopped has said."""
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert SECRET not in result.stdout + result.stderr
    return result.stderr


@pytest.mark.parametrize("secret", ["", "changeme"])
def test_without_a_good_secret_it_does_not_start(
    postern: Callable[..., Result], secret: str
) -> None:
    assert "POSTERN_SECRET_KEY" in told(postern("serve", POSTERN_SECRET_KEY=secret))


def test_an_unmigrated_sqlite_file_is_told(postern: Callable[..., Result]) -> None:
    assert "run `postern migrate`" in told(postern("serve"))


async def test_an_unmigrated_postgresql_is_told(
    postern: Callable[..., Result], postgresql_templates: PostgresqlTemplates
) -> None:
    url = await postgresql_templates.empty()
    assert "run `postern migrate`" in told(postern("serve", POSTERN_DATABASE_URL=url))


def test_an_unreachable_database_is_told_without_its_password(
    postern: Callable[..., Result],
) -> None:
    url = "postgresql://postern:hunter2@127.0.0.1:1/postern"
    said = told(postern("serve", POSTERN_DATABASE_URL=url))
    assert "cannot be reached" in said
    assert "hunter2" not in said


def test_another_secret_than_that_of_the_keys_is_told(postern: Callable[..., Result]) -> None:
    assert postern("migrate").returncode == 0
    assert postern("keys", "list").returncode == 0
    other = SECRET[::-1]
    assert "does not open the signing keys" in told(postern("serve", POSTERN_SECRET_KEY=other))
    both = postern("doctor", POSTERN_SECRET_KEY=f"{other},{SECRET}")
    assert both.stdout == "All is well.\n"


async def test_a_database_of_a_newer_version_is_told(
    postern: Callable[..., Result], tmp_path: Path
) -> None:
    postern("migrate")
    db = Database.connect(f"sqlite:///{tmp_path / 'postern.db'}")
    async with db.begin() as tx:
        await tx.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    await db.close()
    assert "newer version" in told(postern("serve"))


def test_an_operator_manages_accounts(postern: Callable[..., Result]) -> None:
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


def test_migrating_twice_is_harmless(postern: Callable[..., Result]) -> None:
    for _ in range(2):
        assert postern("migrate").stdout == "The database is up to date.\n"
