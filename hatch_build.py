"""Builds the wheel: `server`, `graph`, `auth` and `models` become packages inside `postern`.

In the repository they are top-level packages. Installed like that, they would collide with packages
of the same name in a project that uses Postern. So the wheel contains `postern/graph/…`, and
imports such as `from graph.schema import build_schema` become
`from postern.graph.schema import build_schema`. Line numbers stay the same, so tracebacks match the
repository.
"""

import ast
import shutil
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = "postern"
MOVED = ("server", "graph", "auth", "models")
_LEFT_OUT = {"__pycache__"}


class UnsupportedImport(Exception):
    """An import that cannot be renamed within its line."""


def rename_imports(source: str, where: str = "<source>") -> str:
    """Returns the source with the imports of moved packages renamed. Raises UnsupportedImport."""
    lines = source.split("\n")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import) and any(_is_moved(name.name) for name in node.names):
            raise UnsupportedImport(f"{where}:{node.lineno}: write `from … import …`")
        if isinstance(node, ast.ImportFrom) and not node.level and _is_moved(node.module):
            index, column = node.lineno - 1, node.col_offset
            head, tail = lines[index][:column], lines[index][column:]
            lines[index] = head + tail.replace("from ", f"from {PACKAGE}.", 1)
    return "\n".join(lines)


def _is_moved(module: str | None) -> bool:
    return (module or "").partition(".")[0] in MOVED


class WheelHook(BuildHookInterface):  # type: ignore[type-arg] # generic over hatchling's own config
    """Adds each file to the wheel under its new name."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Adds the files. An editable install uses the repository as it is."""
        if version == "editable":
            return
        root = Path(self.root)
        renamed = Path(self.directory) / "renamed"
        for top in (PACKAGE, *MOVED):
            for path in sorted((root / top).rglob("*")):
                if path.is_file() and not _LEFT_OUT & set(path.parts):
                    self._add(path, path.relative_to(root), renamed, build_data["force_include"])

    def _add(self, path: Path, name: Path, renamed: Path, included: dict[str, str]) -> None:
        target = name if name.parts[0] == PACKAGE else PACKAGE / name
        if path.suffix == ".py":
            copy = renamed / target
            copy.parent.mkdir(parents=True, exist_ok=True)
            text = rename_imports(path.read_text(encoding="utf-8"), str(name))
            copy.write_text(text, encoding="utf-8")
            path = copy
        included[str(path)] = str(target)

    def finalize(self, *_: object) -> None:
        """Removes the renamed copies."""
        shutil.rmtree(Path(self.directory) / "renamed", ignore_errors=True)
