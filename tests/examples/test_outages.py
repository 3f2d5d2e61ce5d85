"""The example clients during outages: users stay signed in."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.databases import PostgresqlServer, PostgresqlTemplates, postgresql_server
from tests.examples.frontends import (
    ADAPTERS,
    TOKEN_SECONDS,
    Clients,
    frontend,
    needs_packages,
    settings_of,
)
from tests.node import needs_node
from tests.processes import forked_server, free_port

pytestmark = [needs_node, needs_packages, pytest.mark.soak]

RETRY_AFTER_SECONDS = 2


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresqlServer]:
    with postgresql_server() as server:
        yield server


def test_server_restart_keeps_sessions(sqlite_url: str, tmp_path: Path) -> None:
    settings, port = settings_of(sqlite_url), free_port()
    with ExitStack() as stack:
        with forked_server(tmp_path, settings, port) as server:
            clients = Clients([stack.enter_context(frontend(name, server)) for name in ADAPTERS])
            clients.sign_in()
            session_ids = clients.session_ids()
            clients.do("listen")
            clients.wait_for(open=True)
        time.sleep(TOKEN_SECONDS)
        assert all("failed" in report for report in clients.do("me"))
        assert clients.do("user") == clients.each(user="alice")
        stack.enter_context(forked_server(tmp_path, settings, port))
        assert clients.do("me") == clients.each(me="alice")
        assert clients.session_ids() == session_ids
        # The subscriptions are restored too.
        clients.wait_for(open=True)


def test_database_outage_is_retried_after_retry_after(
    own_server: PostgresqlServer, tmp_path: Path
) -> None:
    with closing(PostgresqlTemplates(own_server.folder)) as templates:
        settings = settings_of(templates.new_uncached())
        with forked_server(tmp_path, settings) as server, frontend("fetch", server) as one:
            session_id = one.sign_in().session_id
            own_server.crash()
            time.sleep(TOKEN_SECONDS)
            started = time.monotonic()
            one.start_action("me")
            own_server.start()
            assert one.wait_for(done="me")["me"] == "alice"
            assert time.monotonic() - started >= RETRY_AFTER_SECONDS
            assert one.session_id == session_id
