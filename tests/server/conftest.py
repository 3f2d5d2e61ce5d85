"""Fixtures for tests of the settings."""

from collections.abc import Callable

import pytest

from server.doctor import problems_of
from server.environment import load_settings
from server.settings import ConfigurationError

SetEnvironment = Callable[..., None]


@pytest.fixture
def set_environment(monkeypatch: pytest.MonkeyPatch) -> SetEnvironment:
    """Sets environment variables."""

    def set_variables(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_variables


def configuration_problems() -> list[str]:
    """Returns the problems of the settings in the environment."""
    try:
        return problems_of(load_settings())
    except ConfigurationError as error:
        return error.problems
