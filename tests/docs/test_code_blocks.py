"""Each code block on a page is valid in its language."""

import ast
import configparser
import csv
import json
import re
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from graphql import build_schema, parse, validate

from tests.docs.markdown import PAGES, ROOT, Block, blocks, blocks_of
from tests.node import NODE, needs_node

SCHEMA = build_schema((ROOT / "schema.graphql").read_text(encoding="utf-8"))
# Replies as curl prints them are compared with real ones in test_examples.py.
UNCHECKED = {"http", "text"}

_BODY = re.compile(r"-d '(\{.*?\})'", re.DOTALL)


def check_ini(text: str) -> None:
    configparser.ConfigParser(strict=False, interpolation=None).read_string(text)


def check_csv(text: str) -> None:
    assert len({len(row) for row in csv.reader(text.splitlines())}) == 1


def check_lines(text: str) -> None:
    assert [json.loads(line) for line in text.splitlines()]


def check_sh(text: str) -> None:
    found = subprocess.run(
        ["bash", "-n"], input=text, capture_output=True, text=True, timeout=10, check=False
    )
    assert found.returncode == 0, found.stderr


def check_python(text: str) -> None:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                import_module(alias.name)
        elif isinstance(node, ast.ImportFrom):
            module = import_module(node.module or "")
            assert [a.name for a in node.names if not hasattr(module, a.name)] == []


CHECKS: dict[str, Callable[[str], Any]] = {
    "csv": check_csv,
    "graphql": parse,
    "ini": check_ini,
    "json": json.loads,
    "jsonl": check_lines,
    "python": check_python,
    "sh": check_sh,
    "toml": tomllib.loads,
    "yaml": yaml.safe_load,
}


def test_each_block_has_a_known_language() -> None:
    known = {*CHECKS, *UNCHECKED, "js"}
    every = [block for page in PAGES for block in blocks_of(page)]
    assert len(every) > 100
    assert [str(block) for block in every if block.language not in known] == []


@pytest.mark.parametrize("block", blocks(*CHECKS), ids=str)
def test_block_is_valid_in_its_language(block: Block) -> None:
    CHECKS[block.language](block.text)


@needs_node
@pytest.mark.parametrize("block", blocks("js"), ids=str)
def test_javascript_block_is_valid(block: Block, tmp_path: Path) -> None:
    module = tmp_path / "module.mjs"
    module.write_text(block.text, encoding="utf-8")
    found = subprocess.run(
        [NODE or "", "--check", module], capture_output=True, text=True, timeout=30, check=False
    )
    assert found.returncode == 0, found.stderr


def documents() -> Iterator[tuple[str, str]]:
    """Yields the GraphQL documents of the pages with their positions, except invalid ones."""
    for block in blocks("graphql"):
        yield str(block), block.text
    for block in blocks("sh", "json"):
        if block.title == "Refused":
            continue
        bodies = [block.text] if block.language == "json" else _BODY.findall(block.text)
        for body in map(json.loads, bodies):
            query = body.get("query") if isinstance(body, dict) else None
            if query:
                yield str(block), query


@pytest.mark.parametrize(("place", "document"), list(documents()))
def test_document_is_valid_against_the_schema(place: str, document: str) -> None:
    assert validate(SCHEMA, parse(document)) == [], place


def test_documents_of_curl_commands_are_found() -> None:
    places = [place for place, _ in documents()]
    assert sum(place.startswith("README.md") for place in places) >= 3


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("csv", "a,b\n1"),
        ("graphql", "{ me {"),
        ("ini", "no section"),
        ("json", "{'a': 1}"),
        ("python", "from postern import Nothing"),
        ("sh", "if true; then"),
        ("toml", "a ="),
        ("yaml", "a: [1"),
    ],
)
def test_invalid_block_is_found(language: str, text: str) -> None:
    with pytest.raises(Exception, match=r".") as found:
        CHECKS[language](text)
    assert not isinstance(found.value, KeyError)
