"""The targets of links within the repository exist."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.docs.markdown import LINKED_PAGES, anchors_of, links_of


def problem_of(page: Path, link: str) -> str:
    """Returns what is wrong with a link, or an empty text. Does not use the network."""
    url = urlsplit(link)
    if url.scheme:
        return "" if url.scheme in {"http", "https"} and url.hostname else "no address"
    target = page if not url.path else (page.parent / url.path).resolve()
    if not target.exists():
        return "no such file"
    if url.fragment and url.fragment not in anchors_of(target):
        return "no such heading"
    return ""


@pytest.mark.parametrize("page", LINKED_PAGES, ids=lambda page: f"{page.parent.name}/{page.name}")
def test_link_targets_exist(page: Path) -> None:
    problems = {link: problem_of(page, link) for link in links_of(page)}
    assert {link: problem for link, problem in problems.items() if problem} == {}


def test_links_are_found() -> None:
    assert sum(len(links_of(page)) for page in LINKED_PAGES) > 50


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[a](b.md)", ""),
        ("[a](b.md#two-words)", ""),
        ("[a](#here)", ""),
        ("[a](c.md)", "no such file"),
        ("[a](b.md#three-words)", "no such heading"),
        ("[a](https://)", "no address"),
        ("<https://example.com/>", ""),
        ("`[a](c.md)`", None),
    ],
)
def test_problem_of_a_link(text: str, problem: str | None, tmp_path: Path) -> None:
    page = tmp_path / "a.md"
    page.write_text(f"# Here\n\n{text}\n", encoding="utf-8")
    (tmp_path / "b.md").write_text("## Two `words`\n", encoding="utf-8")
    found = [problem_of(page, link) for link in links_of(page)]
    assert found == ([] if problem is None else [problem])
