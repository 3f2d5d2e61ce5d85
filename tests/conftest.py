"""Fixtures: a database of each kind, a clock that tests move, a server, and people who use it."""

import gc
import logging
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import structlog
from pydantic import SecretStr

from auth.permissions import PermissionRegistry
from auth.wiring import Auth
from graph.schema import Schema, build_schema
from server import app
from server.settings import Environment, Settings
from tests.api import Api, serving
from tests.clock import ManualClock
from tests.databases import PostgresqlTemplates, SqliteTemplates, postgresql_folder
from tests.mails import Mailbox
from tests.people import ADMIN, ALICE

# A slow machine is no failure: nothing here is timed.
hypothesis.settings.register_profile(
    "postern",
    deadline=None,
    suppress_health_check=[
        hypothesis.HealthCheck.too_slow,
        hypothesis.HealthCheck.function_scoped_fixture,
    ],
)
hypothesis.settings.load_profile("postern")


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the environment nor a `.env` of the developer reaches a test."""
    for name in [name for name in os.environ if name.startswith("POSTERN_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def logs_as_before() -> Iterator[None]:
    """What a test sets up of the logs is gone after it."""
    root = logging.getLogger()
    handlers, level, before = root.handlers[:], root.level, structlog.get_config()
    yield
    root.handlers, root.level = handlers, level
    structlog.configure(**before)


@pytest.fixture(autouse=True, scope="session")
def one_schema_for_many_servers() -> Iterator[None]:
    """A schema without own code is made once: it knows nothing of the server that it serves."""
    made: list[Schema] = []

    def build(registry: PermissionRegistry, **own_code: Any) -> Schema:
        if any(own_code.values()):
            return build_schema(registry, **own_code)
        if not made:
            made.append(build_schema(registry))
        return made[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, "build_schema", build)
        yield


def pytest_configure() -> None:
    """Tracebacks are printed as Python does: drawing one with boxes takes seconds."""
    *processors, _ = structlog.get_config()["processors"]
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*processors, plain])


def pytest_collection_finish() -> None:
    """What lives for the whole run is not looked through again by every collection of garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def sqlite_templates(tmp_path_factory: pytest.TempPathFactory) -> SqliteTemplates:
    return SqliteTemplates(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(scope="session")
def postgresql_templates() -> Iterator[PostgresqlTemplates]:
    with postgresql_folder() as folder, closing(PostgresqlTemplates(folder)) as templates:
        yield templates


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a migrated database with a few people in it."""
    if request.param == "sqlite":
        sqlite: SqliteTemplates = request.getfixturevalue("sqlite_templates")
        yield sqlite.new(tmp_path)
        return
    yield request.getfixturevalue("postgresql_url")


@pytest.fixture
def postgresql_url(postgresql_templates: PostgresqlTemplates) -> Iterator[str]:
    """The same on PostgreSQL only."""
    url = postgresql_templates.new()
    yield url
    postgresql_templates.give_back(url)


@pytest.fixture
def sqlite_url(sqlite_templates: SqliteTemplates, tmp_path: Path) -> str:
    """The same on SQLite only, for what does not depend on the database."""
    return sqlite_templates.new(tmp_path)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return make_settings(database_url, tmp_path)


def make_settings(database_url: str, folder: Path) -> Settings:
    return Settings(
        environment=Environment.DEVELOPMENT,
        database_url=SecretStr(database_url),
        data_dir=folder / "data",
        bcrypt_cost=4,
        mail_url=SecretStr(f"file:{folder}/mails"),
    )


@pytest.fixture
async def api(settings: Settings, clock: ManualClock) -> AsyncIterator[Api]:
    """A server in this process, on each database."""
    async with serving(settings, clock) as api:
        yield api


@pytest.fixture
def auth(api: Api) -> Auth:
    """What the rules of that server work with."""
    return api.auth


@pytest.fixture
async def sqlite_api(sqlite_url: str, tmp_path: Path, clock: ManualClock) -> AsyncIterator[Api]:
    """A server in this process on SQLite, for what does not depend on the database."""
    async with serving(make_settings(sqlite_url, tmp_path), clock) as api:
        yield api


@pytest.fixture
def mailbox(tmp_path: Path) -> Mailbox:
    """What that server has sent."""
    return Mailbox(tmp_path / "mails")


@pytest.fixture
async def alice(api: Api) -> str:
    """Alice's access token."""
    return await api.log_in(ALICE)


@pytest.fixture
async def admin(api: Api) -> str:
    """The administrator's access token."""
    return await api.log_in(ADMIN)
