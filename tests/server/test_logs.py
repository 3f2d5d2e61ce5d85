"""Logs hide what is named like a secret."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from server.logs import configure_logs, hide_secrets


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


@pytest.mark.parametrize(
    "name", ["password", "new_password", "accessToken", "Authorization", "cookie", "password_hash"]
)
def test_a_field_that_is_named_like_a_secret_is_hidden(name: str) -> None:
    assert hide_secrets(None, "", {name: "hunter2", "status": 200}) == {
        name: "[hidden]",
        "status": 200,
    }


def test_production_writes_json(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(for_people=False)
    structlog.get_logger("test").info("event", token="x", line="a\nb")
    line = json.loads(capsys.readouterr().out)
    assert (line["event"], line["token"], line["line"]) == ("event", "[hidden]", "a\nb")


def test_other_libraries_write_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(for_people=False)
    logging.getLogger("library").warning("careful")
    assert json.loads(capsys.readouterr().out)["logger"] == "library"


def test_a_traceback_shows_no_values_of_variables(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(password: str) -> None:
        raise RuntimeError(len(password))

    for for_people in (True, False):
        configure_logs(for_people=for_people)
        try:
            fail("hunter2")
        except RuntimeError:
            structlog.get_logger("test").exception("fault")
        shown = capsys.readouterr().out
        assert "RuntimeError" in shown
        assert "'hunter2'" not in shown.replace('fail("hunter2")', "")
