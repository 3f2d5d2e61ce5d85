"""Reads the settings from the environment, from `.env` and from secret files."""

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic import ValidationError

from server.settings import DOTENV, FROM_FILES, PREFIX, ConfigurationError, Settings

# The field of the settings for each variable.
_NAMES = {PREFIX + field.upper(): field for field in Settings.model_fields}
# The variable with the path of a file, for each secret.
_FILE_NAMES = {name: f"{PREFIX}{name}_FILE" for name in FROM_FILES}


def load_settings() -> Settings:
    """Reads the settings. Raises ConfigurationError for an invalid or unknown setting."""
    dotenv = _read_dotenv()
    unknown = _unknown({*dotenv, *os.environ})
    if unknown:
        raise ConfigurationError(unknown)
    given = {**_ours(dotenv), **_ours(os.environ)}
    try:
        return Settings(**{**_values(given), **_values_of_files(given)})
    except ValidationError as error:
        raise ConfigurationError([_explain(problem) for problem in error.errors()]) from None


def find_world_readable_files() -> list[str]:
    """Returns the `_FILE` settings whose file every user of the machine can read.

    This is a warning and not an error, because containers mount their secrets like this.
    """
    given = _ours(os.environ)
    return [
        name
        for name in _FILE_NAMES.values()
        if (path := given.get(name)) and Path(path).stat().st_mode & stat.S_IROTH
    ]


def _ours(environ: Mapping[str, str | None]) -> dict[str, str]:
    """Returns the variables that start with POSTERN_, in any case."""
    return {
        name.upper(): value
        for name, value in environ.items()
        # A line of `.env` without `=` has the value None.
        if value is not None and name.upper().startswith(PREFIX)
    }


def _unknown(names: Iterable[str]) -> list[str]:
    """Returns a problem for each POSTERN_ name that is not a setting."""
    known = {*_NAMES, *_FILE_NAMES.values()}
    return [
        f"{name} is not a setting of Postern. Correct the name or remove it (see docs/settings.md)."
        for name in sorted(names)
        if name.upper().startswith(PREFIX) and name.upper() not in known
    ]


def _values(given: Mapping[str, str]) -> dict[str, str]:
    return {field: given[name] for name, field in _NAMES.items() if name in given}


def _read_dotenv() -> dict[str, str | None]:
    try:
        return dict(dotenv_values(DOTENV))
    except UnicodeDecodeError:
        raise ConfigurationError([f"{DOTENV}: this file is not UTF-8 text."]) from None


def _values_of_files(given: Mapping[str, str]) -> dict[str, str]:
    values = {}
    for secret, name in _FILE_NAMES.items():
        path = given.get(name)
        if not path:
            continue
        if given.get(PREFIX + secret):
            raise ConfigurationError(
                [f"{PREFIX}{secret} and {name} are both set. Remove one of them."]
            )
        # The message does not contain the value: it may be the secret itself, set by mistake.
        try:
            values[secret.lower()] = Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ConfigurationError(
                [f"{name}: cannot read this file: {error.strerror}."]
            ) from None
        except UnicodeDecodeError:
            raise ConfigurationError([f"{name}: this file is not UTF-8 text."]) from None
    return values


def _explain(problem: Mapping[str, Any]) -> str:
    name = "_".join(str(part) for part in problem["loc"][:1])
    return f"{PREFIX}{name.upper()}: {problem['msg']}"
