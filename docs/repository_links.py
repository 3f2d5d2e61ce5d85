"""Links from pages to files of the repository: the site gets a copy of each linked file."""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[1]
_LINK = re.compile(r"\]\(\.\./([^)#\s]+)(#[^)\s]*)?( \"[^\"]*\")?\)")
# Browsers would download these files, and MkDocs would make pages of Markdown.
_NOT_SHOWN = {".md", ".py", ".mjs", ".js", ".ts", ".graphql", ".service", ".conf", ".yaml", ""}


def on_files(files: Any, config: Any) -> Any:
    """Adds every file of the repository that a page links to."""
    # Types are checked where MkDocs is not installed too.
    file = import_module("mkdocs.structure.files").File
    named = {
        target
        for page in files.documentation_pages()
        for target, _, _ in _LINK.findall(page.content_string)
    }
    for target in sorted(named):
        source = _source(target)
        files.append(file.generated(config, _place(source), abs_src_path=str(source)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replaces links to files by links to their copies."""
    return _LINK.sub(lambda found: f"]({_place(_source(found[1]))}{found[3] or ''})", markdown)


def _source(target: str) -> Path:
    path = _ROOT / target
    return path / "README.md" if path.is_dir() else path


def _place(source: Path) -> str:
    """Returns the path of a copy: `.txt`, so that browsers show it and MkDocs ignores it."""
    place = f"repository/{source.relative_to(_ROOT)}"
    return f"{place}.txt" if source.suffix in _NOT_SHOWN else place
