"""What is written from the code is what the code writes; after a change, `make docs`."""

import re
from pathlib import Path

import pytest

from auth.permissions import PermissionRegistry
from graph.schema import build_schema
from graph.statuses import Problem
from server import error_advice
from server.reference import access_page, errors_page, settings_page

ROOT = Path(__file__).parents[2]
SCHEMA = build_schema(PermissionRegistry())

PAGES = {
    "schema.graphql": SCHEMA.as_str() + "\n",
    "docs/access.md": access_page(SCHEMA),
    "docs/errors.md": errors_page(),
    "docs/settings.md": settings_page(),
}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_not_drifted_from_the_code(page: str) -> None:
    assert (ROOT / page).read_text(encoding="utf-8") == PAGES[page]


def test_every_code_that_is_sent_is_told() -> None:
    sent: set[str] = set()
    for file in (ROOT / "graph").glob("*.py"):
        text = file.read_text(encoding="utf-8")
        sent |= set(re.findall(r'"code": "([A-Z_]+)"', text))
        sent |= set(re.findall(r'coded_error\(\s*"([A-Z_]+)"', text))
    sent |= {problem.code for problem in Problem}
    assert len(sent) > 10
    assert [code for code in sorted(sent) if f"`{code}`" not in PAGES["docs/errors.md"]] == []


def test_no_advice_is_left_of_a_code_that_is_gone() -> None:
    advised = {**error_advice.REFUSALS, **error_advice.ERRORS, **error_advice.REASONS}
    assert [code for code in advised if f"| `{code}` |" not in PAGES["docs/errors.md"]] == []
