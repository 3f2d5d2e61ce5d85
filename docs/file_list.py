"""Writes docs/files.md from the first lines of the files: `python -m docs.file_list`."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "postern": "The public Python API.",
    "server": "The process: HTTP, settings, the command line, logs.",
    "server/cli": "The `postern` command.",
    "server/rest": "The endpoints beside GraphQL.",
    "server/http": "The HTTP protocol of connections, and the middleware of requests.",
    "graph": "The GraphQL API: types, resolvers, permissions.",
    "graph/http": "GraphQL over HTTP.",
    "graph/socket": "GraphQL over WebSockets.",
    "graph/documents": "Documents: parsed, limited, validated and cached.",
    "graph/compiled": "The executor, which compiles operations.",
    "graph/explorer": "The explorer.",
    "auth": "The rules, one module per use case.",
    "auth/tokens": "Tokens and signing keys.",
    "auth/passwords": "Password hashing and the password policy.",
    "auth/mail": "The outbox, templates and transports of email.",
    "auth/mail_delivery": "Delivery of the emails in the outbox.",
    "auth/transfer": "Import and export of users.",
    "auth/throttling": "Throttling of failed attempts.",
    "models": "The tables, the database handle and the migrations.",
}

_HEAD = (
    "# Files\n\n<!-- Written by `make docs`; a test keeps it true. -->\n\n"
    "The first line of the docstring of each module."
    " [Architecture](architecture.md) explains how they work together.\n"
)


def page() -> str:
    """Returns the whole page."""
    return "\n".join([_HEAD, *(_section(package) for package in PACKAGES)])


def _section(package: str) -> str:
    rows = [
        f"| [{path.name}](../{package}/{path.name}) | {text} |" for path, text in _files(package)
    ]
    table = "\n".join(["| File | Purpose |", "|---|---|", *rows])
    return f"## {package}/\n\n{PACKAGES[package]}\n\n{table}\n"


def _files(package: str) -> Iterator[tuple[Path, str]]:
    for path in sorted((ROOT / package).glob("*.py")):
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        if text and (path.name != "__init__.py" or package == "postern"):
            yield path, " ".join(text.partition("\n\n")[0].split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(page())
