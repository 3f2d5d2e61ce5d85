"""The command line, run in this process."""

import pytest
from typer.testing import CliRunner

from server.cli import main as cli
from server.command_failure import CommandFailed


def run(*arguments: str, stdin: str = "") -> str:
    """Runs a command that must succeed, and returns what it prints."""
    result = CliRunner().invoke(cli.app, arguments, input=stdin, catch_exceptions=False)
    assert result.exit_code == 0
    return str(result.output)


def stopped(*arguments: str, stdin: str = "") -> list[str]:
    """Runs a command that must stop, and returns what it says."""
    with pytest.raises(CommandFailed) as stop:
        CliRunner().invoke(cli.app, arguments, input=stdin, catch_exceptions=False)
    return list(stop.value.lines)


def in_development(monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    """Sets the environment of a developer's machine."""
    monkeypatch.setenv("POSTERN_ENVIRONMENT", "development")
    monkeypatch.setenv("POSTERN_DATABASE_URL", database_url)
    monkeypatch.setenv("POSTERN_BCRYPT_COST", "4")
