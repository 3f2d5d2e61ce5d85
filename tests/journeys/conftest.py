"""Fixtures: the explorer of a real server in a real browser."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser import chromium
from tests.browser.explorer import SETTINGS, SHORT, ExplorerPage, opened
from tests.processes import Process, forked_server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium.browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with forked_server(tmp_path_factory.mktemp("server"), SETTINGS) as server:
        yield server


@pytest.fixture(scope="module")
def short_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with forked_server(tmp_path_factory.mktemp("short"), SHORT) as server:
        yield server


@pytest.fixture
def explorer(browser: Browser, server: Process) -> Iterator[ExplorerPage]:
    with opened(browser, server.base_url) as page:
        yield page


@pytest.fixture
def short_explorer(browser: Browser, short_server: Process) -> Iterator[ExplorerPage]:
    with opened(browser, short_server.base_url) as page:
        yield page
