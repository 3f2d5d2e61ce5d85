"""The command line, in this process."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from server import cli
from server.console import Stop
from server.settings import ConfigurationError

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def development(monkeypatch: pytest.MonkeyPatch, sqlite_url: str) -> None:
    monkeypatch.setenv("POSTERN_ENVIRONMENT", "development")
    monkeypatch.setenv("POSTERN_DATABASE_URL", sqlite_url)
    monkeypatch.setenv("POSTERN_BCRYPT_COST", "4")


def run(*arguments: str, stdin: str = "") -> str:
    """Runs a command that must succeed, and returns what it prints."""
    result = CliRunner().invoke(cli.app, arguments, input=stdin, catch_exceptions=False)
    assert result.exit_code == 0
    return str(result.output)


def stopped(*arguments: str, stdin: str = "") -> list[str]:
    """Runs a command that must stop, and returns what it says."""
    with pytest.raises(Stop) as stop:
        CliRunner().invoke(cli.app, arguments, input=stdin, catch_exceptions=False)
    return list(stop.value.lines)


def test_accounts_are_listed_newest_first() -> None:
    lines = run("user", "list").splitlines()
    assert [line.split()[1] for line in lines] == ["audrey", "sophie", "admin", "bob", "alice"]
    assert len(run("user", "list", "--search", "al").splitlines()) == 1


def test_a_long_list_is_whole() -> None:
    for number in range(101):
        run("user", "create", "--username", f"user{number}")
    assert len(run("user", "list").splitlines()) == 106


def test_a_user_is_disabled_and_enabled_by_name_or_address() -> None:
    assert run("user", "disable", "alice").endswith("disabled\n")
    assert run("user", "enable", "ALICE@example.com").endswith("active\n")


def test_roles_are_replaced() -> None:
    assert " support,user  active" in run("user", "roles", "alice", "support", "user")
    assert " -  active" in run("user", "roles", "alice")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("user", "enable", "nobody"), "There is no such user."),
        (("user", "roles", "alice", "king"), "There is no such role."),
        (("user", "roles", "admin"), "This is the last active administrator."),
        (("user", "create", "--username", "alice"), "This username is taken."),
    ],
)
def test_a_refusal_is_told_in_words(arguments: tuple[str, ...], said: str) -> None:
    assert stopped(*arguments)[0].startswith(said)


def test_a_weak_password_is_refused_here_too() -> None:
    said = stopped("user", "create", "--username", "carol", "--password-stdin", stdin="carol\n")
    assert said[0] == "A password has at least 8 characters."
    assert said[1].startswith("A password must not contain your username")


def test_keys_are_listed_and_rotated() -> None:
    assert " current " in run("keys", "list")
    assert "signs from" in run("keys", "rotate")
    assert [line.split()[2] for line in run("keys", "list").splitlines()] == ["next", "current"]
    run("keys", "rotate", "--compromised")
    assert len(run("keys", "list").splitlines()) == 1


def test_the_doctor_says_that_all_is_well() -> None:
    run("keys", "list")
    assert run("doctor") == "All is well.\n"


def test_the_doctor_says_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTERN_ENVIRONMENT", "production")
    said = stopped("doctor")
    assert [line.split()[0] for line in said] == [
        "POSTERN_SECRET_KEY",
        "POSTERN_PUBLIC_URL",
        "POSTERN_BCRYPT_COST:",
    ]


@pytest.mark.parametrize(
    ("command", "page"),
    [
        (("schema", "export"), "schema.graphql"),
        (("access",), "docs/access.md"),
        (("errors",), "docs/errors.md"),
        (("settings",), "docs/settings.md"),
    ],
)
def test_the_written_pages_are_printed(command: tuple[str, ...], page: str) -> None:
    assert run(*command) == (ROOT / page).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "problem",
    [Stop("One.", "Two."), ConfigurationError(["One.", "Two."])],
)
def test_a_problem_ends_in_words_and_not_in_a_traceback(
    problem: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise problem

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err == "postern: One.\npostern: Two.\n"
