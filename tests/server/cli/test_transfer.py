"""`postern user import` and `postern user export`."""

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

ACCOUNTS = len(["alice", "bob", "admin", "sophie", "audrey"])


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
    assert (result.exit_code, result.stdout) == (0, "imported 2, existing 0, refused 0\n")
    assert run("import", file).stdout == "imported 0, existing 2, refused 0\n"
    assert run("list", "--search", "carol").stdout.endswith("carol  -  user  active\n")


def test_csv_is_imported(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("username,roles\ncarol,support;user\n")
    run("import", "a.csv")
    assert " support,user  active" in run("list", "--search", "carol").stdout


def test_import_reports_refused_lines_and_exits_with_1(tmp_path: Path) -> None:
    result = run(
        "import", write(tmp_path / "a.jsonl", {"username": "alice"}, {"username": "carol"})
    )
    assert result.exit_code == 1
    assert result.stderr == "line 1: username: is already used by another account\n"
    assert result.stdout == "imported 1, existing 0, refused 1\n"


def test_import_report_is_written_to_a_file(tmp_path: Path) -> None:
    result = run("import", write(tmp_path / "a.jsonl", 17), "--report", "report.txt")
    assert (result.exit_code, result.stderr) == (1, "")
    assert (tmp_path / "report.txt").read_text() == "line 1: must be a JSON object\n"


def test_import_dry_run_changes_nothing(tmp_path: Path) -> None:
    result = run("import", "--dry-run", write(tmp_path / "a.jsonl", {"username": "carol"}))
    assert result.stdout == "would import 1, existing 0, refused 0\n"
    assert run("list", "--search", "carol").stdout == ""


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", "", "The file is empty"),
        ("a.csv", "email\n", "line 1: the header has no column username"),
        ("a.txt", "", "a.txt: the format is unknown. Add --format"),
    ],
)
def test_import_reports_an_unusable_file(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(CommandFailed, match=message):
        run("import", name)


@pytest.mark.parametrize(
    "arguments",
    [
        ("import", "nowhere/a.csv"),
        ("import", "a.jsonl", "--report", "nowhere/report.txt"),
        ("export", "nowhere/a.csv"),
    ],
)
def test_file_that_cannot_be_opened_is_reported(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    write(tmp_path / "a.jsonl", {"username": "carol"})
    with pytest.raises(CommandFailed, match="No such file or directory"):
        run(*arguments)


def test_export_prints_accounts_without_password_hashes() -> None:
    result = run("export")
    accounts = [json.loads(line) for line in result.stdout.splitlines()]
    assert [account["username"] for account in accounts] == [
        *("alice", "bob", "admin", "sophie", "audrey"),
    ]
    assert "bcrypt" not in result.stdout
    assert result.stderr == f"exported {ACCOUNTS}\n"


def test_exported_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    run("export", "out.csv", "--with-password-hashes")
    assert stat.S_IMODE((tmp_path / "out.csv").stat().st_mode) == 0o600
    assert cheap_hash(ALICE.password) in (tmp_path / "out.csv").read_text()


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl"])
def test_exported_accounts_can_be_imported_unchanged(
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
    assert run("import", name).stdout == f"imported {ACCOUNTS + 3}, existing 0, refused 0\n"
    run("export", f"again-{name}", "--with-password-hashes")
    assert (tmp_path / name).read_text() == (tmp_path / f"again-{name}").read_text()


@pytest.mark.soak
def test_killed_import_continues_when_it_runs_again(tmp_path: Path, database_url: str) -> None:
    accounts = [{"username": f"person{n}", "email": f"p{n}@example.com"} for n in range(8_000)]
    file = write(tmp_path / "a.jsonl", *accounts)
    process = subprocess.Popen(
        [*POSTERN, "user", "import", file], cwd=tmp_path, env=environment(**settings(database_url))
    )
    while count(database_url) < ACCOUNTS + 1000:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    existing = count(database_url) - ACCOUNTS
    assert 0 < existing < len(accounts)
    again = run_command(tmp_path, "user", "import", file, **settings(database_url))
    assert again.stdout == (
        f"imported {len(accounts) - existing:,}, existing {existing:,}, refused 0\n"
    )
    assert count(database_url) == ACCOUNTS + len(accounts)


@pytest.mark.soak
async def test_users_can_sign_in_while_an_import_runs(
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
