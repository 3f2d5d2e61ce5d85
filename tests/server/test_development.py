"""Development mode: its secret and its two accounts."""

import asyncio
import re
import stat
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import delete

from auth.clock import Clock
from auth.tokens.key_material import Algorithm
from auth.tokens.keys import KeyRing
from auth.tokens.secret_keys import SecretKeys
from auth.wiring import Auth
from models.database import Database
from models.user import User
from server import doctor
from server.development import add_development_accounts, with_development_secret
from server.settings import ConfigurationError, Environment, Settings
from tests.api import Api

SECRET = "kX9v2mQ7rT4wY8zB3nL6pD1sF5hJ0cGa"
DEVELOPMENT = Settings(environment=Environment.DEVELOPMENT)


def secret_of(settings: Settings = DEVELOPMENT) -> str:
    return ",".join(with_development_secret(settings).secrets)


def problem_of(settings: Settings = DEVELOPMENT) -> str:
    with pytest.raises(ConfigurationError) as refused:
        with_development_secret(settings)
    return str(refused.value)


def test_secret_is_created_once(tmp_path: Path) -> None:
    first = secret_of()
    assert len(first) > 40
    assert secret_of() == first
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["secret_key"]


def test_each_data_folder_has_a_different_secret(tmp_path: Path) -> None:
    elsewhere = DEVELOPMENT.model_copy(update={"data_dir": tmp_path / "elsewhere"})
    assert secret_of() != secret_of(elsewhere)


def test_secret_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    secret_of()
    file = tmp_path / "data" / "secret_key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_permissions_of_a_readable_secret_file_are_restricted(tmp_path: Path) -> None:
    first, file = secret_of(), tmp_path / "data" / "secret_key"
    file.chmod(0o644)
    assert secret_of() == first
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_two_processes_that_start_together_use_the_same_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Path, "exists", lambda _: False)
    assert secret_of() == secret_of()


def test_configured_secret_is_used_and_none_is_created(tmp_path: Path) -> None:
    given = DEVELOPMENT.model_copy(update={"secret_key": SecretStr(SECRET)})
    assert secret_of(given) == SECRET
    assert not (tmp_path / "data").exists()


def test_production_creates_no_secret(tmp_path: Path) -> None:
    production = DEVELOPMENT.model_copy(update={"environment": Environment.PRODUCTION})
    assert secret_of(production) == ""
    assert not (tmp_path / "data").exists()


def test_production_refuses_the_development_secret() -> None:
    copied = with_development_secret(DEVELOPMENT).model_copy(
        update={"environment": Environment.PRODUCTION, "public_url": "https://auth.example.com"}
    )
    (problem,) = doctor.problems_of(copied)
    assert problem.startswith("POSTERN_SECRET_KEY was created for development")


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe"])
def test_secret_file_without_a_secret_is_reported(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "secret_key").write_bytes(content)
    assert "POSTERN_DATA_DIR" in problem_of()


def test_data_folder_that_cannot_be_created_is_reported(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file in the way")
    assert "POSTERN_DATA_DIR" in problem_of()


def test_start_fails_if_the_secret_was_lost_and_the_keys_exist(
    tmp_path: Path, sqlite_url: str
) -> None:
    async def start() -> None:
        db = Database.connect(sqlite_url)
        try:
            secret_keys = SecretKeys([secret_of()])
            await doctor.check_keys(KeyRing(db, secret_keys, Clock(), Algorithm.ES256))
        finally:
            await db.close()

    asyncio.run(start())
    (tmp_path / "data" / "secret_key").unlink()
    with pytest.raises(ConfigurationError, match="does not decrypt the signing keys"):
        asyncio.run(start())


@pytest.fixture
async def empty(auth: Auth) -> Auth:
    """A server without users."""
    async with auth.db.begin() as tx:
        await tx.execute(delete(User))
    return auth


async def test_first_start_creates_two_accounts_and_prints_their_passwords(
    empty: Auth, api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    await add_development_accounts(empty)
    alice, admin = capsys.readouterr().out.splitlines()
    assert alice == "  account  alice / secret123   (role user)"
    password = re.fullmatch(r"  account  admin / (\S{16})   \(role admin\)", admin)
    assert password
    assert (await api.try_login("alice", "secret123"))["tokens"]
    assert (await api.try_login("admin", password[1]))["tokens"]


async def test_later_start_creates_and_prints_nothing(
    auth: Auth, capsys: pytest.CaptureFixture[str]
) -> None:
    await add_development_accounts(auth)
    assert capsys.readouterr().out == ""


async def test_workers_that_start_together_print_each_account_once(
    empty: Auth, capsys: pytest.CaptureFixture[str]
) -> None:
    await asyncio.gather(*(add_development_accounts(empty) for _ in range(4)))
    names = [line.split()[1] for line in capsys.readouterr().out.splitlines()]
    assert sorted(names) == ["admin", "alice"]
