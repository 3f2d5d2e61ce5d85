"""The example clients with lost or damaged replies: users stay signed in."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.accounts import ALICE, BOB
from tests.examples.faulty_proxy import (
    Failure,
    FaultyProxy,
    faulty_proxy,
    html_reply,
    no_reply,
    other_json_reply,
    truncated_reply,
)
from tests.examples.frontends import Frontend, frontend, needs_packages, settings_of
from tests.node import needs_node
from tests.processes import forked_server

pytestmark = [needs_node, needs_packages, pytest.mark.soak]

NOTICED_WITHIN_SECONDS = 5
# How often a refresh is sent before the client reports that the server is unavailable.
TRIES = 4


@pytest.fixture
def proxy(sqlite_url: str, tmp_path: Path) -> Iterator[FaultyProxy]:
    with forked_server(tmp_path, settings_of(sqlite_url)) as server, faulty_proxy(server) as proxy:
        yield proxy


@pytest.fixture
def one(proxy: FaultyProxy) -> Iterator[Frontend]:
    with frontend("fetch", proxy) as one:
        yield one


def test_refresh_without_a_reply_is_retried_in_time(proxy: FaultyProxy, one: Frontend) -> None:
    session_id = one.sign_in().session_id
    proxy.fail_next("refreshTokens", no_reply)
    started = time.monotonic()
    assert "failed" not in one.do("refresh")
    assert time.monotonic() - started < NOTICED_WITHIN_SECONDS
    assert not one.has_received(change="signedOut")
    assert (one.session_id, one.do("me")["me"]) == (session_id, "alice")


def test_session_survives_lost_refresh_replies_with_any_grace_window(
    sqlite_url: str, tmp_path: Path
) -> None:
    settings = {**settings_of(sqlite_url), "POSTERN_REFRESH_GRACE": "0"}
    with (
        forked_server(tmp_path, settings) as server,
        faulty_proxy(server) as proxy,
        frontend("fetch", proxy) as one,
    ):
        session_id = one.sign_in().session_id
        proxy.fail_next("refreshTokens", truncated_reply, times=TRIES)
        assert one.do("refresh")["failed"] == "Unavailable"
        assert "failed" not in one.do("refresh")
        assert (one.session_id, one.do("me")["me"]) == (session_id, "alice")
        # The next refresh is another one, with another key.
        assert "failed" not in one.do("refresh")
        assert one.do("me")["me"] == "alice"


@pytest.mark.parametrize("failure", [truncated_reply, html_reply, other_json_reply])
def test_damaged_reply_does_not_sign_out(
    proxy: FaultyProxy, one: Frontend, failure: Failure
) -> None:
    proxy.fail_next("login", failure)
    typed = {"username": ALICE.username, "password": ALICE.password}
    assert one.do("signIn", **typed)["failed"] == "Unavailable"
    one.sign_in()
    proxy.fail_next("refreshTokens", failure)
    assert "failed" not in one.do("refresh")
    proxy.fail_next("logout", failure)
    assert one.do("signOut")["failed"] == "Unavailable"
    assert one.do("user")["user"] == "alice"


def test_sign_in_as_another_user_works_if_the_old_session_is_unreachable(
    proxy: FaultyProxy, one: Frontend
) -> None:
    one.sign_in()
    proxy.fail_next("logout", truncated_reply)
    one.sign_in(BOB)
    assert one.do("me")["me"] == "bob"
