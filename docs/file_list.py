"""Writes docs/files.md from the first lines of the files: `python -m docs.file_list`."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FLOORS = {
    "server": "The process: HTTP, settings, the command line, logs. May import everything below.",
    "graph": "The GraphQL API: types, resolvers, permissions. May import `auth` and `models`.",
    "graph/compiled": "Operations as closures. Knows GraphQL and nothing of accounts.",
    "auth": "The rules. Knows neither GraphQL nor HTTP. May import `models`.",
    "models": "The tables, the handle of the database, the migrations. Imports nothing of ours.",
    "postern": "The face for own code.",
}

_BEGINNING = (
    "# Files\n\n<!-- Written by `make docs`; a test keeps it true. -->\n\n"
    "What each file is for, floor by floor, in its own words."
    " [Architecture](architecture.md) says how they work together.\n"
)


def page() -> str:
    """The whole page."""
    return "\n".join([_BEGINNING, *(_section(floor) for floor in FLOORS)])


def _section(floor: str) -> str:
    rows = [f"| [{path.name}](../{floor}/{path.name}) | {text} |" for path, text in _files(floor)]
    table = "\n".join(["| File | What it is for |", "|---|---|", *rows])
    return f"## {floor}/\n\n{FLOORS[floor]}\n\n{table}\n"


def _files(floor: str) -> Iterator[tuple[Path, str]]:
    for path in sorted((ROOT / floor).glob("*.py")):
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        if text and (path.name != "__init__.py" or floor == "postern"):
            yield path, " ".join(text.partition("\n\n")[0].split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(page())
