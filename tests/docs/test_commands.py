"""Commands, options, settings and make targets that pages name exist."""

import re
import shlex
from collections.abc import Iterator

import pytest
from typer.core import TyperGroup
from typer.exceptions import TyperException
from typer.main import get_command

from server.cli.main import app
from server.settings import FROM_FILES, PREFIX, Settings
from tests.docs.markdown import PAGES, ROOT, blocks

SETTINGS = {
    *(PREFIX + name.upper() for name in Settings.model_fields),
    *(f"{PREFIX}{name}_FILE" for name in FROM_FILES),
}
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")

_SETTING = re.compile(r"POSTERN_[A-Z_]*[A-Z](?!\w|_?…)")
_ENDS = {"|", "||", "&&", ";", ">", ">>", "<", "&"}


def words_of(script: str) -> Iterator[list[str]]:
    """Yields each simple command of a script as a list of words."""
    for line in script.replace("\\\n", " ").splitlines():
        reader = shlex.shlex(line, posix=True, punctuation_chars=True)
        reader.whitespace_split = True
        command: list[str] = []
        for word in reader:
            if word in _ENDS:
                yield command
                command = []
            else:
                command.append(word)
        yield command


def commands(name: str) -> Iterator[tuple[str, list[str]]]:
    """Yields the commands of this name in shell blocks, with their positions."""
    for block in blocks("sh"):
        # Request bodies span several lines and contain no commands.
        script = re.sub(r"'\{.*?\}'", "body", block.text, flags=re.DOTALL)
        for words in words_of(script):
            if words[:1] == [name]:
                yield str(block), words[1:]


def parse(words: list[str]) -> None:
    """Parses a `postern` command without running it. Raises TyperException, KeyError."""
    command = get_command(app)
    while isinstance(command, TyperGroup):
        command, words = command.commands[" ".join(words[:1])], words[1:]
    command.make_context(command.name, list(words))


@pytest.mark.parametrize(("place", "words"), list(commands("postern")))
def test_command_exists(place: str, words: list[str]) -> None:
    parse(words)


def test_commands_are_found() -> None:
    found = {" ".join(words[:2]) for _, words in commands("postern")}
    assert {"user create", "user import", "serve --host", "migrate"} <= found


@pytest.mark.parametrize(
    "words", [["users"], ["user", "create", "--name", "ada"], ["serve", "--port", "high"], ["user"]]
)
def test_invalid_command_is_found(words: list[str]) -> None:
    with pytest.raises((TyperException, KeyError)):
        parse(words)


@pytest.mark.parametrize(("place", "words"), list(commands("make")))
def test_make_target_exists(place: str, words: list[str]) -> None:
    assert re.search(rf"^{re.escape(words[0])}:", MAKEFILE, re.MULTILINE), place


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_settings_exist(page: object) -> None:
    assert hasattr(page, "read_text")
    named = set(_SETTING.findall(page.read_text(encoding="utf-8")))
    assert sorted(named - SETTINGS) == []
