"""A reply that is lost or spoiled on its way signs nobody out."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.accounts import ALICE, BOB
from tests.examples.bad_line import (
    BadLine,
    Spoil,
    bad_line,
    is_another_page,
    is_cut_off,
    is_lost,
    is_other_json,
)
from tests.examples.frontends import Frontend, frontend, needs_packages, settings_of
from tests.node import needs_node
from tests.processes import forked_server

pytestmark = [needs_node, needs_packages, pytest.mark.soak]

NOTICED_WITHIN_SECONDS = 5
# How often a refresh is sent before the client reports that the server is unavailable.
TRIES = 4


@pytest.fixture
def line(sqlite_url: str, tmp_path: Path) -> Iterator[BadLine]:
    with forked_server(tmp_path, settings_of(sqlite_url)) as server, bad_line(server) as line:
        yield line


@pytest.fixture
def one(line: BadLine) -> Iterator[Frontend]:
    with frontend("fetch", line) as one:
        yield one


def test_a_refresh_whose_reply_never_comes_is_asked_for_again_in_time(
    line: BadLine, one: Frontend
) -> None:
    session_id = one.sign_in().session_id
    line.spoil_next("refreshTokens", is_lost)
    began = time.monotonic()
    assert "failed" not in one.do("refresh")
    assert time.monotonic() - began < NOTICED_WITHIN_SECONDS
    assert not one.has_heard(change="signedOut")
    assert (one.session_id, one.do("me")["me"]) == (session_id, "alice")


def test_session_outlives_lost_refresh_replies_whatever_the_grace_window(
    sqlite_url: str, tmp_path: Path
) -> None:
    settings = {**settings_of(sqlite_url), "POSTERN_REFRESH_GRACE": "0"}
    with (
        forked_server(tmp_path, settings) as server,
        bad_line(server) as line,
        frontend("fetch", line) as one,
    ):
        session_id = one.sign_in().session_id
        line.spoil_next("refreshTokens", is_cut_off, times=TRIES)
        assert one.do("refresh")["failed"] == "Unavailable"
        assert "failed" not in one.do("refresh")
        assert (one.session_id, one.do("me")["me"]) == (session_id, "alice")
        # The next refresh is another one, with another key.
        assert "failed" not in one.do("refresh")
        assert one.do("me")["me"] == "alice"


@pytest.mark.parametrize("how", [is_cut_off, is_another_page, is_other_json])
def test_a_spoiled_reply_is_no_answer(line: BadLine, one: Frontend, how: Spoil) -> None:
    line.spoil_next("login", how)
    typed = {"username": ALICE.username, "password": ALICE.password}
    assert one.do("signIn", **typed)["failed"] == "Unavailable"
    one.sign_in()
    line.spoil_next("refreshTokens", how)
    assert "failed" not in one.do("refresh")
    line.spoil_next("logout", how)
    assert one.do("signOut")["failed"] == "Unavailable"
    assert one.do("user")["user"] == "alice"


def test_who_signs_in_over_somebody_need_not_reach_their_session(
    line: BadLine, one: Frontend
) -> None:
    one.sign_in()
    line.spoil_next("logout", is_cut_off)
    one.sign_in(BOB)
    assert one.do("me")["me"] == "bob"
