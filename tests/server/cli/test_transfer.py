"""`postern user import` and `export`, as an operator runs them."""

import asyncio
import json
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest
from sqlalchemy import func, select
from typer.testing import CliRunner, Result

from models.database import Database
from models.user import User
from server.cli import main as cli
from server.command_failure import CommandFailed
from tests.accounts import ALICE, cheap_hash
from tests.api import Api
from tests.processes import POSTERN, environment, run_command

PEOPLE = len(["alice", "bob", "admin", "sophie", "audrey"])


@pytest.fixture(autouse=True)
def development(monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    for name, value in settings(database_url).items():
        monkeypatch.setenv(name, value)


def settings(database_url: str) -> dict[str, str]:
    return {
        "POSTERN_ENVIRONMENT": "development",
        "POSTERN_DATABASE_URL": database_url,
        "POSTERN_BCRYPT_COST": "4",
    }


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, ["user", *arguments], catch_exceptions=False)


def write(path: Path, *accounts: object) -> str:
    path.write_text("".join(json.dumps(account) + "\n" for account in accounts))
    return str(path)


def test_accounts_are_imported_and_counted(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", {"username": "carol"}, {"username": "dave"})
    result = run("import", file)
    assert (result.exit_code, result.stdout) == (0, "imported 2, already there 0, refused 0\n")
    assert run("import", file).stdout == "imported 0, already there 2, refused 0\n"
    assert run("list", "--search", "carol").stdout.endswith("carol  -  user  active\n")


def test_csv_is_imported(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("username,roles\ncarol,support;user\n")
    run("import", "a.csv")
    assert " support,user  active" in run("list", "--search", "carol").stdout


def test_what_is_refused_is_told_by_line_and_fails_the_command(tmp_path: Path) -> None:
    result = run(
        "import", write(tmp_path / "a.jsonl", {"username": "alice"}, {"username": "carol"})
    )
    assert result.exit_code == 1
    assert result.stderr == "line 1: username: another account has it\n"
    assert result.stdout == "imported 1, already there 0, refused 1\n"


def test_a_report_goes_into_a_file(tmp_path: Path) -> None:
    result = run("import", write(tmp_path / "a.jsonl", 17), "--report", "report.txt")
    assert (result.exit_code, result.stderr) == (1, "")
    assert (tmp_path / "report.txt").read_text() == "line 1: is not a JSON object\n"


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    result = run("import", "--dry-run", write(tmp_path / "a.jsonl", {"username": "carol"}))
    assert result.stdout == "would import 1, already there 0, refused 0\n"
    assert run("list", "--search", "carol").stdout == ""


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", "", "the file is empty"),
        ("a.csv", "email\n", "line 1: the header names no column username"),
        ("a.txt", "", "a.txt: say --format"),
    ],
)
def test_a_file_that_cannot_be_used_is_told(
    tmp_path: Path, name: str, content: str, said: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(CommandFailed, match=said):
        run("import", name)


@pytest.mark.parametrize(
    "arguments",
    [
        ("import", "nowhere/a.csv"),
        ("import", "a.jsonl", "--report", "nowhere/report.txt"),
        ("export", "nowhere/a.csv"),
    ],
)
def test_a_file_that_cannot_be_opened_is_told(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    write(tmp_path / "a.jsonl", {"username": "carol"})
    with pytest.raises(CommandFailed, match="No such file or directory"):
        run(*arguments)


def test_accounts_are_printed_without_their_hashes() -> None:
    result = run("export")
    accounts = [json.loads(line) for line in result.stdout.splitlines()]
    assert [account["username"] for account in accounts] == [
        *("alice", "bob", "admin", "sophie", "audrey"),
    ]
    assert "bcrypt" not in result.stdout
    assert result.stderr == f"exported {PEOPLE}\n"


def test_an_exported_file_is_for_its_owner_only(tmp_path: Path) -> None:
    run("export", "out.csv", "--with-password-hashes")
    assert stat.S_IMODE((tmp_path / "out.csv").stat().st_mode) == 0o600
    assert cheap_hash(ALICE.password) in (tmp_path / "out.csv").read_text()


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl"])
def test_what_was_exported_is_imported_elsewhere_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    accounts = [
        {"username": "carol", "full_name": "=1+1", "roles": [], "password_is_temporary": True},
        {"username": "dave", "full_name": "Dávid, ö", "roles": ["admin", "user"], "disabled": True},
        {"username": "erin", "email": "-e@example.com", "email_verified": True},
    ]
    run("import", write(tmp_path / "in.jsonl", *accounts))
    run("export", name, "--with-password-hashes")
    monkeypatch.setenv("POSTERN_DATABASE_URL", "sqlite:///elsewhere.db")
    CliRunner().invoke(cli.app, ["migrate"], catch_exceptions=False)
    assert run("import", name).stdout == f"imported {PEOPLE + 3}, already there 0, refused 0\n"
    run("export", f"again-{name}", "--with-password-hashes")
    assert (tmp_path / name).read_text() == (tmp_path / f"again-{name}").read_text()


@pytest.mark.soak
def test_an_import_that_was_killed_goes_on(tmp_path: Path, database_url: str) -> None:
    accounts = [{"username": f"person{n}", "email": f"p{n}@example.com"} for n in range(8_000)]
    file = write(tmp_path / "a.jsonl", *accounts)
    process = subprocess.Popen(
        [*POSTERN, "user", "import", file], cwd=tmp_path, env=environment(**settings(database_url))
    )
    while count(database_url) < PEOPLE + 1000:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    there = count(database_url) - PEOPLE
    assert 0 < there < len(accounts)
    again = run_command(tmp_path, "user", "import", file, **settings(database_url))
    assert again.stdout == (
        f"imported {len(accounts) - there:,}, already there {there:,}, refused 0\n"
    )
    assert count(database_url) == PEOPLE + len(accounts)


@pytest.mark.soak
async def test_people_log_in_while_an_import_runs(
    api: Api, tmp_path: Path, database_url: str
) -> None:
    file = write(tmp_path / "a.jsonl", *({"username": f"person{n}"} for n in range(8_000)))
    process = await asyncio.create_subprocess_exec(
        *POSTERN, "user", "import", file, cwd=tmp_path, env=environment(**settings(database_url))
    )
    logins = 0
    while process.returncode is None:
        await api.log_in(ALICE)
        logins += 1
    assert (process.returncode, logins > 10) == (0, True)


def count(database_url: str) -> int:
    async def ask() -> int:
        db = Database.connect(database_url)
        try:
            async with db.read() as session:
                return (await session.scalars(select(func.count()).select_from(User))).one()
        finally:
            await db.close()

    return asyncio.run(ask())
