"""Development: a secret and two accounts for nothing, on one machine only."""

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


def test_the_secret_is_made_once(tmp_path: Path) -> None:
    first = secret_of()
    assert len(first) > 40
    assert secret_of() == first
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["secret_key"]


def test_every_machine_makes_its_own(tmp_path: Path) -> None:
    elsewhere = DEVELOPMENT.model_copy(update={"data_dir": tmp_path / "elsewhere"})
    assert secret_of() != secret_of(elsewhere)


def test_nobody_else_on_the_machine_can_read_it(tmp_path: Path) -> None:
    secret_of()
    file = tmp_path / "data" / "secret_key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_a_secret_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    first, file = secret_of(), tmp_path / "data" / "secret_key"
    file.chmod(0o644)
    assert secret_of() == first
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_of_two_that_start_together_the_slower_takes_the_secret_of_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Path, "exists", lambda _: False)
    assert secret_of() == secret_of()


def test_a_secret_that_was_given_is_kept_and_none_is_made(tmp_path: Path) -> None:
    given = DEVELOPMENT.model_copy(update={"secret_key": SecretStr(SECRET)})
    assert secret_of(given) == SECRET
    assert not (tmp_path / "data").exists()


def test_production_makes_no_secret(tmp_path: Path) -> None:
    production = DEVELOPMENT.model_copy(update={"environment": Environment.PRODUCTION})
    assert secret_of(production) == ""
    assert not (tmp_path / "data").exists()


def test_production_refuses_the_secret_of_development() -> None:
    taken_along = with_development_secret(DEVELOPMENT).model_copy(
        update={"environment": Environment.PRODUCTION, "public_url": "https://auth.example.com"}
    )
    (problem,) = doctor.problems_of(taken_along)
    assert problem.startswith("POSTERN_SECRET_KEY was made for development")


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe"])
def test_a_secret_file_that_holds_no_secret_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "secret_key").write_bytes(content)
    assert "POSTERN_DATA_DIR" in problem_of()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file in the way")
    assert "POSTERN_DATA_DIR" in problem_of()


def test_no_start_with_a_lost_secret_and_kept_keys(tmp_path: Path, sqlite_url: str) -> None:
    async def start() -> None:
        db = Database.connect(sqlite_url)
        try:
            secret_keys = SecretKeys([secret_of()])
            await doctor.check_keys(KeyRing(db, secret_keys, Clock(), Algorithm.ES256))
        finally:
            await db.close()

    asyncio.run(start())
    (tmp_path / "data" / "secret_key").unlink()
    with pytest.raises(ConfigurationError, match="does not open the signing keys"):
        asyncio.run(start())


@pytest.fixture
async def empty(auth: Auth) -> Auth:
    """A server with nobody in its database."""
    async with auth.db.begin() as tx:
        await tx.execute(delete(User))
    return auth


async def test_the_first_start_adds_two_accounts_and_tells_their_passwords(
    empty: Auth, api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    await add_development_accounts(empty)
    alice, admin = capsys.readouterr().out.splitlines()
    assert alice == "  account  alice / secret123   (role user)"
    password = re.fullmatch(r"  account  admin / (\S{16})   \(role admin\)", admin)
    assert password
    assert (await api.try_login("alice", "secret123"))["tokens"]
    assert (await api.try_login("admin", password[1]))["tokens"]


async def test_a_later_start_adds_and_tells_nothing(
    auth: Auth, capsys: pytest.CaptureFixture[str]
) -> None:
    await add_development_accounts(auth)
    assert capsys.readouterr().out == ""


async def test_workers_that_start_together_tell_one_password_each(
    empty: Auth, capsys: pytest.CaptureFixture[str]
) -> None:
    await asyncio.gather(*(add_development_accounts(empty) for _ in range(4)))
    names = [line.split()[1] for line in capsys.readouterr().out.splitlines()]
    assert sorted(names) == ["admin", "alice"]
