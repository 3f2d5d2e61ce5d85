"""The schema file and the generated pages are current; after a change, run `make docs`."""

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
def test_generated_page_is_current(page: str) -> None:
    assert (ROOT / page).read_text(encoding="utf-8") == PAGES[page]


def test_each_error_code_is_documented() -> None:
    sent: set[str] = set()
    for file in (ROOT / "graph").glob("*.py"):
        text = file.read_text(encoding="utf-8")
        sent |= set(re.findall(r'"code": "([A-Z_]+)"', text))
        sent |= set(re.findall(r'coded_error\(\s*"([A-Z_]+)"', text))
    sent |= {problem.code for problem in Problem}
    assert len(sent) > 10
    assert [code for code in sorted(sent) if f"`{code}`" not in PAGES["docs/errors.md"]] == []


def test_advice_names_existing_codes_only() -> None:
    advised = {**error_advice.REFUSALS, **error_advice.ERRORS, **error_advice.REASONS}
    assert [code for code in advised if f"| `{code}` |" not in PAGES["docs/errors.md"]] == []
