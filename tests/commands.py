"""Runs `postern` commands in the test process."""

import pytest
from typer.testing import CliRunner

from server.cli import main as cli
from server.command_failure import CommandFailed


def run(*arguments: str, stdin: str = "") -> str:
    """Runs a command that must succeed. Returns its output."""
    result = CliRunner().invoke(cli.app, arguments, input=stdin, catch_exceptions=False)
    assert result.exit_code == 0
    return str(result.output)


def run_failing(*arguments: str, stdin: str = "") -> list[str]:
    """Runs a command that must fail. Returns the lines of its error message."""
    with pytest.raises(CommandFailed) as failure:
        CliRunner().invoke(cli.app, arguments, input=stdin, catch_exceptions=False)
    return list(failure.value.lines)


def use_development_settings(monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    """Sets the environment variables of development mode."""
    monkeypatch.setenv("POSTERN_ENVIRONMENT", "development")
    monkeypatch.setenv("POSTERN_DATABASE_URL", database_url)
    monkeypatch.setenv("POSTERN_BCRYPT_COST", "4")
