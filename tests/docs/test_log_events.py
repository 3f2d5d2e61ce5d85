"""The operator's table of log events has every warning and error, and no others."""

import ast
from collections.abc import Iterator

import pytest

from tests.docs.markdown import ROOT

PACKAGES = ("auth", "graph", "models", "server")
# Logged through a variable: see `DatabaseUnavailable.event`.
INDIRECT = {"database.unavailable", "signing_keys.unavailable"}
# Logged at INFO but documented, because it can point to an attack.
INFORMATIVE = {"http.client_timeout"}
_SERIOUS = {"warning", "error", "exception", "critical"}


def documented() -> set[str]:
    lines = (ROOT / "docs" / "operation.md").read_text(encoding="utf-8").splitlines()
    table = lines[lines.index("| Event | Meaning | What to do |") + 2 :]
    cells = [line.split("|")[1] for line in table[: table.index("")]]
    return {name.strip(" `") for cell in cells for name in cell.split(",")}


def logged() -> Iterator[str]:
    """Yields the literal event names that are logged at the level warning or above."""
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name("log"), attr=level),
                    args=[ast.Constant(str(event)), *_],
                ) if level in _SERIOUS:
                    yield event


@pytest.fixture(scope="module")
def events() -> set[str]:
    return {*logged(), *INDIRECT, *INFORMATIVE}


def test_each_warning_and_error_is_documented(events: set[str]) -> None:
    assert events <= documented()


def test_each_documented_event_is_logged(events: set[str]) -> None:
    assert documented() <= events
