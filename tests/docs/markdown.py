"""Code blocks, headings and links of the Markdown pages."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([*(ROOT / "docs").glob("*.md"), ROOT / "README.md"])
LINKED_PAGES = [
    *PAGES,
    ROOT / "CHANGELOG.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    *(
        page
        for page in sorted((ROOT / "examples").rglob("README.md"))
        if "node_modules" not in page.parts
    ),
]

_FENCE = re.compile(r"^( *)(```+)(\S*) *(.*)$")
_TITLE = re.compile(r'title="([^"]*)"')
_CODE = re.compile(r"`[^`]*`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)(?: \"[^\"]*\")?\)")
_BARE_LINK = re.compile(r"<(https?://[^>\s]+)>")
_HEADING = re.compile(r"^#{1,6} +(.+?) *$")


@dataclass(frozen=True, slots=True)
class Block:
    """A code block and its position."""

    page: Path
    line: int
    language: str
    title: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks_of(page: Path) -> Iterator[Block]:
    """Yields the code blocks of a page in order."""
    lines = enumerate(page.read_text(encoding="utf-8").splitlines(), 1)
    for number, line in lines:
        opened = _FENCE.match(line)
        if not opened:
            continue
        indent, fence, language, rest = opened.groups()
        text = []
        for _, inside in lines:
            if inside.strip() == fence:
                break
            text.append(inside.removeprefix(indent))
        title = _TITLE.search(rest)
        yield Block(page, number, language, title[1] if title else "", "\n".join(text))


def blocks(*languages: str) -> list[Block]:
    """Returns the code blocks of all pages in these languages."""
    return [block for page in PAGES for block in blocks_of(page) if block.language in languages]


def prose_of(page: Path) -> str:
    """Returns a page without its code blocks."""
    kept, fence = [], ""
    for line in page.read_text(encoding="utf-8").splitlines():
        opened = _FENCE.match(line)
        if fence:
            fence = "" if line.strip() == fence else fence
        elif opened:
            fence = opened[2]
        else:
            kept.append(line)
    return "\n".join(kept)


def links_of(page: Path) -> list[str]:
    """Returns the targets of the links of a page."""
    text = _CODE.sub("``", prose_of(page))
    return _LINK.findall(text) + _BARE_LINK.findall(text)


def anchors_of(page: Path) -> set[str]:
    """Returns the anchors of the headings of a page."""
    headings = (_HEADING.match(line) for line in prose_of(page).splitlines())
    return {_slug(heading[1]) for heading in headings if heading}


def _slug(heading: str) -> str:
    kept = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
    return kept.strip().replace(" ", "-")
