"""`postern doctor`: problems of the configuration and the database."""

from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select, text

from auth.clock import Clock
from auth.tokens.key_material import Algorithm
from auth.tokens.keys import KeyRing
from auth.tokens.secret_keys import SecretKeys
from models.database import Database
from models.signing_key import SigningKey
from server import doctor
from server.settings import ConfigurationError, Environment, Settings, Switch
from tests.databases import PostgresqlTemplates

SECRET = "kX9v2mQ7rT4wY8zB3nL6pD1sF5hJ0cGa"
OTHER = SECRET[::-1]


def production(database_url: str, **more: Any) -> Settings:
    settings = {
        "environment": Environment.PRODUCTION,
        "secret_key": SecretStr(SECRET),
        "public_url": "https://auth.example.com",
        "database_url": SecretStr(database_url),
    }
    return Settings(**{**settings, **more})


async def diagnosis(database_url: str, **more: Any) -> str:
    return "\n".join(await doctor.diagnose(production(database_url, **more)))


async def execute(database_url: str, statement: str) -> None:
    db = Database.connect(database_url)
    async with db.begin() as tx:
        await tx.execute(text(statement))
    await db.close()


async def create_key(database_url: str, *secrets: str) -> None:
    db = Database.connect(database_url)
    await KeyRing(db, SecretKeys(secrets), Clock(), Algorithm.ES256).start()
    await db.close()


async def count_keys(database_url: str) -> int:
    db = Database.connect(database_url)
    async with db.read() as session:
        count = (await session.execute(select(func.count()).select_from(SigningKey))).scalar_one()
    await db.close()
    return count


async def test_valid_configuration_has_no_problems_and_creates_no_keys(database_url: str) -> None:
    assert await diagnosis(database_url) == ""
    assert await count_keys(database_url) == 0


@pytest.mark.parametrize("proxies", [("*",), ("10.0.0.0/8", "my-proxy"), ("10.0.0.1/8",)])
async def test_proxy_that_is_not_a_network_is_reported(
    sqlite_url: str, proxies: tuple[str, ...]
) -> None:
    reported = await diagnosis(sqlite_url, trusted_proxies=proxies)
    expected = f"POSTERN_TRUSTED_PROXIES: {proxies[-1]!r} is not an IP address or network"
    assert reported.startswith(expected)


async def test_empty_database_is_reported_as_not_migrated(
    postgresql_templates: PostgresqlTemplates,
) -> None:
    for url in ("sqlite:///empty.db", postgresql_templates.empty()):
        assert "Run `postern migrate`" in await diagnosis(url)


async def test_partly_migrated_database_is_reported_as_not_migrated(database_url: str) -> None:
    await execute(database_url, "UPDATE postern_alembic_version SET version_num = '0001'")
    assert "Run `postern migrate`" in await diagnosis(database_url)


async def test_database_of_a_newer_version_is_reported(database_url: str) -> None:
    await execute(database_url, "UPDATE postern_alembic_version SET version_num = '9999'")
    assert "migrated by a newer version" in await diagnosis(database_url)


async def test_secret_that_does_not_decrypt_the_keys_is_reported(database_url: str) -> None:
    await create_key(database_url, SECRET)
    reported = await diagnosis(database_url, secret_key=SecretStr(OTHER))
    assert reported.startswith("POSTERN_SECRET_KEY does not decrypt the signing keys")


async def test_old_secret_after_the_new_one_decrypts_the_keys(database_url: str) -> None:
    await create_key(database_url, SECRET)
    assert await diagnosis(database_url, secret_key=SecretStr(f"{OTHER},{SECRET}")) == ""


async def test_development_without_a_secret_has_no_problems(sqlite_url: str) -> None:
    unset = {"environment": Environment.DEVELOPMENT, "secret_key": SecretStr("")}
    assert await diagnosis(sqlite_url, **unset) == ""


UNREACHABLE: dict[str, Callable[[Path], str]] = {
    "connection refused": lambda _: "postgresql://postern:hunter2@127.0.0.1:1/postern",
    "unknown host": lambda _: "postgresql://postern:hunter2@nowhere.invalid/postern",
    "no socket": lambda folder: f"postgresql://postern:hunter2@/postern?host={folder}",
    "a folder": lambda folder: f"sqlite:///{folder}",
    "below a file": lambda folder: f"sqlite:///{folder / 'no.db' / 'postern.db'}",
    "no database": lambda folder: f"sqlite:///{folder / 'no.db'}",
}


@pytest.mark.parametrize("case", UNREACHABLE)
async def test_unusable_database_is_reported_without_its_password(
    tmp_path: Path, case: str
) -> None:
    (tmp_path / "no.db").write_text("not a database\n" * 50)
    reported = await diagnosis(UNREACHABLE[case](tmp_path))
    assert "cannot be reached" in reported
    assert "POSTERN_DATABASE_URL" in reported
    assert "hunter2" not in reported


async def test_missing_postgresql_database_is_reported(
    postgresql_templates: PostgresqlTemplates,
) -> None:
    assert "cannot be reached" in await diagnosis(postgresql_templates.url("nothing"))


async def test_database_url_with_sslmode_is_accepted() -> None:
    url = "postgresql://postern:hunter2@127.0.0.1:1/postern?sslmode=require"
    assert "cannot be reached" in await diagnosis(url)


async def test_settings_are_checked_before_the_database_is_opened(tmp_path: Path) -> None:
    untouched = tmp_path / "untouched.db"
    assert "POSTERN_PUBLIC_URL" in await diagnosis(f"sqlite:///{untouched}", public_url="")
    assert not untouched.exists()


async def test_passlib_beside_libpass_is_reported(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "distribution", lambda _: distribution("libpass"))
    assert "pip uninstall passlib" in await diagnosis(sqlite_url)


def test_all_problems_are_reported_at_once(sqlite_url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        doctor.check(production(sqlite_url, secret_key=SecretStr("short,changeme"), public_url=""))
    assert len(refused.value.problems) == 3


async def test_doctor_reports_an_explorer_that_refuses_every_query(
    sqlite_url: str, tmp_path: Path
) -> None:
    manifest = tmp_path / "documents.json"
    manifest.write_text("{}")
    settings = {"trusted_documents": manifest, "trusted_documents_only": Switch.ON}
    assert await diagnosis(sqlite_url, **settings) == ""
    reported = await diagnosis(sqlite_url, **settings, explorer=Switch.ON)
    assert "POSTERN_EXPLORER: the explorer does not work" in reported


@pytest.mark.parametrize(
    ("content", "expected"),
    [(None, "cannot be read"), ("{", "is not JSON"), ("[]", "is not of the")],
)
async def test_doctor_reports_a_manifest_that_cannot_be_read(
    sqlite_url: str, tmp_path: Path, content: str | None, expected: str
) -> None:
    manifest = tmp_path / "documents.json"
    if content is not None:
        manifest.write_text(content)
    assert expected in await diagnosis(sqlite_url, trusted_documents=manifest)


async def test_doctor_reports_trusted_documents_only_without_a_manifest(sqlite_url: str) -> None:
    reported = await diagnosis(sqlite_url, trusted_documents_only=Switch.ON)
    assert "POSTERN_TRUSTED_DOCUMENTS_ONLY=on needs this file" in reported
