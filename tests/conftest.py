"""Fixtures: databases, a clock, a server in this process, and tokens of its users."""

import gc
import logging
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, suppress
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import structlog
import uvloop
from pydantic import SecretStr

from auth.permissions import PermissionRegistry
from auth.wiring import Auth
from graph.schema import Schema, build_schema
from server import app
from server.settings import Environment, Settings
from tests.accounts import ADMIN, ALICE
from tests.api import Api, serving
from tests.clock import ManualClock
from tests.databases import PostgresqlTemplates, SqliteTemplates, postgresql_folder
from tests.emails import Mailbox

# No deadlines: a slow machine must not fail a test.
hypothesis.settings.register_profile(
    "postern",
    deadline=None,
    suppress_health_check=[
        hypothesis.HealthCheck.too_slow,
        hypothesis.HealthCheck.function_scoped_fixture,
    ],
)
hypothesis.settings.load_profile("postern")


def open_sockets() -> set[Path]:
    """The sockets and pipes of this process, by inode."""
    found = set()
    for descriptor in Path("/proc/self/fd").glob("*"):
        with suppress(OSError):
            found.add(descriptor.readlink())
    return {target for target in found if target.name.startswith(("socket:", "pipe:"))}


@pytest.fixture(autouse=True, scope="session")
def open_what_stays_open() -> None:
    """Opens what the process keeps open: the pipe of libuv and the fork server."""
    uvloop.new_event_loop().close()
    forkserver.ensure_running()


# Tests in other folders share clients, browsers and servers, which keep their sockets.
OWN_SOCKETS = tuple(
    Path(__file__).with_name(name) for name in ("auth", "graph", "models", "server")
)


@pytest.fixture(autouse=True)
def leaves_no_socket_open(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails a test that leaves a socket open: its warning would fail a later test by chance."""
    if not any(request.path.is_relative_to(folder) for folder in OWN_SOCKETS):
        yield
        return
    before = open_sockets()
    yield
    left = open_sockets() - before
    deadline = time.monotonic() + 10
    # A thread resets databases of earlier tests, and has sockets for some milliseconds.
    while left and time.monotonic() < deadline:
        time.sleep(0.01)
        left &= open_sockets()
    assert left == set()


@pytest.fixture(autouse=True)
def isolate_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hides the environment variables and the `.env` of the developer."""
    for name in [name for name in os.environ if name.startswith("POSTERN_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def restore_logging() -> Iterator[None]:
    """Restores the logging configuration after the test.

    Loggers are not cached during the test. A cached logger would keep the configuration.
    """
    root = logging.getLogger()
    handlers, level, before = root.handlers[:], root.level, structlog.get_config()
    configure = structlog.configure

    def configure_uncached(**options: Any) -> None:
        configure(**{**options, "cache_logger_on_first_use": False})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(structlog, "configure", configure_uncached)
        yield
    root.handlers, root.level = handlers, level
    configure(**before)


@pytest.fixture(autouse=True, scope="session")
def share_schema() -> Iterator[None]:
    """Builds the schema without custom code once. It does not depend on the server."""
    built: list[Schema] = []

    def build(registry: PermissionRegistry, **own_code: Any) -> Schema:
        if any(own_code.values()):
            return build_schema(registry, **own_code)
        if not built:
            built.append(build_schema(registry))
        return built[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, "build_schema", build)
        yield


def pytest_configure() -> None:
    """Prints plain tracebacks: rich ones take seconds."""
    *processors, _ = structlog.get_config()["processors"]
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*processors, plain])


def pytest_collection_finish() -> None:
    """Excludes all objects of the collected tests from garbage collection, which is faster."""
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
    """The URL of a migrated database with accounts, on SQLite and PostgreSQL."""
    if request.param == "sqlite":
        sqlite: SqliteTemplates = request.getfixturevalue("sqlite_templates")
        yield sqlite.new(tmp_path)
        return
    yield request.getfixturevalue("postgresql_url")


@pytest.fixture
def postgresql_url(postgresql_templates: PostgresqlTemplates) -> Iterator[str]:
    """The URL of a migrated database with accounts on PostgreSQL."""
    url = postgresql_templates.new()
    yield url
    postgresql_templates.give_back(url)


@pytest.fixture
def sqlite_url(sqlite_templates: SqliteTemplates, tmp_path: Path) -> str:
    """The URL of a migrated database with accounts on SQLite."""
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
        mail_url=SecretStr(f"file:{folder}/emails"),
    )


@pytest.fixture
async def api(settings: Settings, clock: ManualClock) -> AsyncIterator[Api]:
    """A server in this process, on SQLite and PostgreSQL."""
    async with serving(settings, clock) as api:
        yield api


@pytest.fixture
def auth(api: Api) -> Auth:
    """The `Auth` object of the server."""
    return api.auth


@pytest.fixture
async def sqlite_api(sqlite_url: str, tmp_path: Path, clock: ManualClock) -> AsyncIterator[Api]:
    """A server in this process on SQLite, for tests that do not depend on the database."""
    async with serving(make_settings(sqlite_url, tmp_path), clock) as api:
        yield api


@pytest.fixture
def mailbox(tmp_path: Path) -> Mailbox:
    """The emails that the server has sent."""
    return Mailbox(tmp_path / "emails")


@pytest.fixture
async def alice(api: Api) -> str:
    """Alice's access token."""
    return await api.log_in(ALICE)


@pytest.fixture
async def admin(api: Api) -> str:
    """The access token of the admin."""
    return await api.log_in(ADMIN)
