"""Each statement of docs/security.md links a test that exists and runs by default."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.docs.markdown import ROOT

PAGE = ROOT / "docs" / "security.md"

# Sections and blocks without a statement to test, and why. A block is named by its first words.
EXEMPT_SECTIONS = {
    "Security": "the introduction",
    "What is left to you": "duties of the operator",
}
EXEMPT_BLOCKS = {
    "Set `old,new`": "an instruction",
    "Set `new,old`": "an instruction",
    "Set `new` when": "an instruction",
    "Set the new `POSTERN_SECRET_KEY`": "an instruction",
    "Run `postern sessions end-all`": "an instruction; the paragraph above it links the test",
    "Restart the processes.": "an instruction",
    "A role without permissions": "a warning about a role that protects nothing",
}

# The title of a link is the name of the test: [test](../tests/auth/test_login.py "test_name").
_LINK = re.compile(r"\[[^\]]+\]\((\.\./tests/[^)\s]+)(?: \"(test_\w+)\")?\)")
_ITEM = re.compile(r"^(?:\*|\d+\.) ")


def blocks_of(text: str) -> list[tuple[str, str]]:
    """Returns the paragraphs, list items and tables of a page, each with its heading."""
    found: list[tuple[str, list[str]]] = []
    heading, begins = "", True
    for line in text.splitlines():
        if line.startswith("#"):
            heading, begins = line.lstrip("# "), True
        elif not line.strip():
            begins = True
        elif begins or _ITEM.match(line):
            found.append((heading, [line]))
            begins = False
        else:
            found[-1][1].append(line.strip())
    return [(title, _ITEM.sub("", " ".join(lines))) for title, lines in found]


def introduces_items(blocks: list[tuple[str, str]], text: str) -> list[str]:
    """Returns the paragraphs that end with a colon; the items below them have their own links."""
    unwrapped = re.sub(r"(?<!\n)\n(?!\n)", " ", text)
    return [
        block for _, block in blocks if block.endswith(":") and f"{block[-30:]}\n\n* " in unwrapped
    ]


def blocks_without_a_test(text: str) -> list[str]:
    blocks = blocks_of(text)
    introductions = introduces_items(blocks, text)
    return [
        block
        for heading, block in blocks
        if heading not in EXEMPT_SECTIONS
        and not block.startswith(("|", *EXEMPT_BLOCKS))
        and block not in introductions
        and not _LINK.search(block)
    ]


@cache
def functions_of(path: Path) -> dict[str, bool]:
    """Returns the tests of a file, and whether each runs without `make soak`."""
    module = ast.parse(path.read_text(encoding="utf-8"))
    skipped = any(
        isinstance(node, ast.Assign)
        and ast.unparse(node.targets[0]) == "pytestmark"
        and "mark.soak" in ast.unparse(node.value)
        for node in module.body
    )
    return {
        node.name: not skipped
        and not any(ast.unparse(mark).endswith("mark.soak") for mark in node.decorator_list)
        for node in ast.walk(module)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    }


def problem_of(link: str, function: str) -> str:
    """Returns what is wrong with a link to a test, or an empty text."""
    path = (PAGE.parent / link).resolve()
    if not path.is_file():
        return "no such file"
    tests = functions_of(path)
    if function and function not in tests:
        return "no such test"
    runs = tests[function] if function else any(tests.values())
    return "" if runs else "no test that runs by default"


def links() -> list[tuple[str, str]]:
    text = re.sub(r"\s+", " ", PAGE.read_text(encoding="utf-8"))
    return sorted(set(_LINK.findall(text)))


def test_each_promise_names_a_test() -> None:
    assert blocks_without_a_test(PAGE.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(("link", "function"), links())
def test_linked_test_exists_and_runs_by_default(link: str, function: str) -> None:
    assert not problem_of(link, function)


def test_exemptions_are_used() -> None:
    blocks = blocks_of(PAGE.read_text(encoding="utf-8"))
    assert set(EXEMPT_SECTIONS) <= {heading for heading, _ in blocks}
    for start in EXEMPT_BLOCKS:
        assert any(block.startswith(start) for _, block in blocks), start


def test_promise_without_a_test_is_found() -> None:
    shown = "Shown\nhere ([test](../tests/a.py)).\n"
    text = f"# Page\n\n{shown}\n* Not shown.\n* {shown}"
    assert blocks_without_a_test(text) == ["Not shown."]


@pytest.mark.parametrize(
    ("link", "function", "problem"),
    [
        ("../tests/docs/test_promises.py", "", ""),
        ("../tests/docs/test_promises.py", "test_exemptions_are_used", ""),
        ("../tests/docs/test_promises.py", "test_of_nothing", "no such test"),
        ("../tests/docs/test_nothing.py", "", "no such file"),
        ("../tests/docs/markdown.py", "", "no test that runs by default"),
        ("../tests/faults/test_login_storms.py", "", "no test that runs by default"),
    ],
)
def test_problem_of_a_link_to_a_test(link: str, function: str, problem: str) -> None:
    assert problem_of(link, function) == problem
