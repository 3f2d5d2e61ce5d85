"""The settings and their checks, without printing secrets."""

from typing import Any

import pytest
from pydantic import ValidationError

from server.environment import load_settings
from server.settings import Settings
from tests.server.conftest import SetEnvironment, configuration_problems

GOOD_SECRET = "kX9v2mQ7rT4wY8zB3nL6pD1sF5hJ0cGa"
PRODUCTION = {
    "POSTERN_SECRET_KEY": GOOD_SECRET,
    "POSTERN_PUBLIC_URL": "https://auth.example.com",
}


def test_production_is_the_default_and_needs_two_settings(set_environment: SetEnvironment) -> None:
    set_environment(**PRODUCTION)
    settings = load_settings()
    assert not settings.in_development
    assert not settings.shows_explorer
    assert not settings.allows_introspection
    assert configuration_problems() == []


def test_missing_settings_are_reported_with_advice() -> None:
    reported = " ".join(configuration_problems())
    assert "POSTERN_SECRET_KEY is missing. Create a secret with" in reported
    assert "POSTERN_PUBLIC_URL is missing" in reported


@pytest.mark.parametrize(
    "secret",
    [
        "changeme",
        "ChangeMe-ChangeMe-ChangeMe-ChangeMe-1234",
        "your_super_secret_key_that_is_long_enough",
        "short",
        "a" * 64,
        "ab" * 40,
        "development_kX9v2mQ7rT4wY8zB3nL6pD1sF5hJ0cGa",
        "0123456789abcdef0123456789abcdef",
        "a-string-secret-at-least-256-bits-long",
        "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
        f"{GOOD_SECRET},changeme",
        f"short,{GOOD_SECRET}",
    ],
)
def test_weak_secret_is_reported_without_its_value(
    set_environment: SetEnvironment, secret: str
) -> None:
    set_environment(**{**PRODUCTION, "POSTERN_SECRET_KEY": secret})
    (problem,) = configuration_problems()
    assert problem.startswith("POSTERN_SECRET_KEY")
    assert GOOD_SECRET not in problem


def test_secret_key_can_list_older_secrets(set_environment: SetEnvironment) -> None:
    set_environment(POSTERN_SECRET_KEY=f" {GOOD_SECRET} , older ")
    assert load_settings().secrets == [GOOD_SECRET, "older"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("POSTERN_PORT", "eighty"),
        ("POSTERN_ENVIRONMENT", "staging"),
        ("POSTERN_JWT_ALGORITHM", "none"),
        ("POSTERN_ACCESS_TOKEN_TTL", "7200"),
        ("POSTERN_BCRYPT_COST", "40"),
        ("POSTERN_BCRYPT_COST", "4"),
        ("POSTERN_DATABASE_URL", "mysql://root:hunter2@h/d"),
        ("POSTERN_DATABASE_URL", "postgresql://root:hunter2"),
        ("POSTERN_DATABASE_URL", "postgresql://root:hunter2@h/d?channel_binding=require"),
        ("POSTERN_DATABASE_URL", ""),
        ("POSTERN_CORS_ORIGINS", "*"),
        ("POSTERN_CORS_ORIGINS", "https://app.example.com/path"),
        ("POSTERN_CORS_ORIGINS", "https://["),
        ("POSTERN_CORS_ORIGINS", "null"),
        ("POSTERN_PUBLIC_URL", "auth.example.com"),
        ("POSTERN_PUBLIC_URL", "https://[::1"),
        ("POSTERN_PUBLIC_URL", "https://auth.example.com:99999"),
        ("POSTERN_PUBLIC_URL", "https://"),
        ("POSTERN_MAIL_FROM", "nobody"),
        ("POSTERN_MAIL_FROM", "Example <accounts@>"),
        ("POSTERN_MAIL_TEMPLATES", "no/such/folder"),
        ("POSTERN_SHUTDOWN_DELAY", "-1"),
    ],
)
def test_invalid_setting_is_reported_by_name(
    set_environment: SetEnvironment, name: str, value: str
) -> None:
    set_environment(**{**PRODUCTION, name: value})
    (problem,) = configuration_problems()
    assert problem.startswith(name)
    assert "hunter2" not in problem


def test_settings_object_rejects_unknown_fields() -> None:
    unknown: dict[str, Any] = {"prot": 9000}
    with pytest.raises(ValidationError, match="prot"):
        Settings(**unknown)


@pytest.mark.parametrize(
    "environment",
    [
        {"POSTERN_SECRET_KEY": "hunter2"},
        {"POSTERN_SECRET_KEY": "hunter2" * 9},
        {"POSTERN_SECRET_KEY": f"{GOOD_SECRET},hunter2"},
        {"POSTERN_SECRET_KEY_FILE": "hunter2"},
        {"POSTERN_SECRET": "hunter2"},
        {"POSTERN_DATABASE_URL": "hunter2"},
        {"POSTERN_DATABASE_URL": "postgresql://postern:hunter2"},
        {"POSTERN_DATABASE_URL": "postgresql://postern:hun@hunter2@h:hunter2/d"},
        {"POSTERN_DATABASE_URL": "postgresql://postern@h/d?password=hunter2"},
        {"POSTERN_DATABASE_URL_FILE": "postgresql://postern:hunter2@h/d"},
        {"POSTERN_PORT": "hunter2"},
        {"POSTERN_ENVIRONMENT": "hunter2"},
        {"POSTERN_PASSWORD_GRANT": "hunter2"},
    ],
)
def test_problem_does_not_contain_the_value(
    set_environment: SetEnvironment, environment: dict[str, str]
) -> None:
    set_environment(**{"POSTERN_PUBLIC_URL": "https://auth.example.com", **environment})
    reported = configuration_problems()
    assert any(next(iter(environment)) in problem for problem in reported)
    assert "hunter2" not in " ".join(reported)
    assert GOOD_SECRET not in " ".join(reported)


def test_repr_of_settings_does_not_contain_secrets(set_environment: SetEnvironment) -> None:
    set_environment(**PRODUCTION, POSTERN_DATABASE_URL="postgresql://u:hunter2@h/d")
    shown = repr(load_settings())
    assert GOOD_SECRET not in shown
    assert "hunter2" not in shown


def test_development_must_listen_on_loopback(set_environment: SetEnvironment) -> None:
    set_environment(POSTERN_ENVIRONMENT="development", POSTERN_HOST="0.0.0.0")
    assert "the passwords are public" in configuration_problems()[0]


def test_hosts_are_those_of_the_public_url_and_the_allowed_hosts(
    set_environment: SetEnvironment,
) -> None:
    set_environment(**PRODUCTION, POSTERN_ALLOWED_HOSTS="internal, Other.example")
    assert load_settings().hosts == {"auth.example.com", "internal", "other.example"}
