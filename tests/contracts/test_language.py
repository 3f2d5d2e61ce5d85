"""The language of texts and code: phrases that must not come back (CONTRIBUTING.md)."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMES = (".py", ".md", ".html", ".txt", ".ts", ".tsx", ".js", ".mjs", ".yml", ".toml", "Makefile")
FOLDERS = (
    *("server", "graph", "auth", "models", "postern"),
    *("docs", "examples", "explorer", "deploy", "benchmarks", ".ci", ".github"),
)
GENERATED = {"node_modules", "built", "__pycache__", "dist"}
# CONTRIBUTING.md names the phrases, and the list of passwords is data.
EXEMPT = {"CONTRIBUTING.md", "auth/passwords/common_passwords.txt"}

PHRASES = (
    # Metaphors for components
    r"\bstairs\b",
    r"(?<!\.)\bfloors?\b",
    r"\bthe house\b",
    r"\bthe whole face\b",
    # Actors without a name
    r"\bwhoever\b",
    r"\bsomebody\b",
    r"\bnobody\b",
    r"\banybody\b",
    r"\bone's own\b",
    # Archaic or translated
    r"\banew\b",
    r"\bshall\b",
    r"\bmeanwhile\b",
    r"\bis no more\b",
    r"\bput off\b",
    r"\bgiven up\b",
    r"\bgood for\b",
    r"\bit may be that\b",
    r"\bof late\b",
    r"\bin great number\b",
    # Terms of the glossary
    r"\be-mails?\b",
    r"\bletterhead\b",
    r"\bthe trail\b",
    r"\bown code\b",
)
_PATTERN = re.compile("|".join(PHRASES), re.IGNORECASE)


def texts() -> list[Path]:
    """Returns the files that people write, without tests: their data has such words."""
    found = [path for path in ROOT.iterdir() if path.is_file()]
    for folder in FOLDERS:
        found += [path for path in (ROOT / folder).rglob("*") if path.is_file()]
    return [
        path
        for path in sorted(found)
        if path.name.endswith(NAMES)
        and path.relative_to(ROOT).as_posix() not in EXEMPT
        and not GENERATED & set(path.relative_to(ROOT).parts)
        and "lock" not in path.name
    ]


def test_phrases_of_the_old_language_do_not_come_back() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]}"
        for path in texts()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if (match := _PATTERN.search(line))
    ]
    assert found == []
