"""Reads the settings: from the environment, from `.env`, and from files that hold a secret."""

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic import ValidationError

from server.settings import DOTENV, FROM_FILES, PREFIX, ConfigurationError, Settings

# Such a variable names the file that holds a secret.
_FILE = "_FILE"


def load_settings() -> Settings:
    """Reads the settings. Raises ConfigurationError when one cannot be read or is not known."""
    given = {**_ours(_read_dotenv()), **_ours(os.environ)}
    unknown = _unknown(given)
    if unknown:
        raise ConfigurationError(unknown)
    values = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in given.items()
        if not name.endswith(_FILE)
    }
    try:
        return Settings(**{**values, **_from_files(given)})
    except ValidationError as error:
        raise ConfigurationError([_explain(problem) for problem in error.errors()]) from None


def files_open_to_everybody() -> list[str]:
    """The settings whose secret stands in a file that every user of this machine may read.

    Told, not refused: containers mount their secrets like that.
    """
    names = [PREFIX + name + _FILE for name in FROM_FILES]
    return [
        name
        for name in names
        if (path := os.environ.get(name)) and Path(path).stat().st_mode & stat.S_IROTH
    ]


def _ours(environ: Mapping[str, str]) -> dict[str, str]:
    """What begins with POSTERN_, in whatever case it is written."""
    return {
        name.upper(): value for name, value in environ.items() if name.upper().startswith(PREFIX)
    }


def _unknown(given: Iterable[str]) -> list[str]:
    """What is wrong with names of no setting: most likely they are misspelt."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    known |= {PREFIX + name + _FILE for name in FROM_FILES}
    return [
        f"{name} is not a setting of Postern: correct its name or remove it (see docs/settings.md)"
        for name in sorted(given)
        if name not in known
    ]


def _read_dotenv() -> dict[str, str]:
    try:
        return {name: value or "" for name, value in dotenv_values(DOTENV).items()}
    except UnicodeDecodeError:
        raise ConfigurationError([f"{DOTENV}: this file is no UTF-8 text"]) from None


def _from_files(environ: Mapping[str, str]) -> dict[str, Any]:
    values = {}
    for name in FROM_FILES:
        path = environ.get(PREFIX + name + _FILE)
        if not path:
            continue
        if environ.get(f"{PREFIX}{name}"):
            raise ConfigurationError(
                [f"{PREFIX}{name} and {PREFIX}{name}{_FILE} are both set: keep one of them"]
            )
        # What was given stays out of the message: it may be the secret itself, in the wrong place.
        try:
            values[name.lower()] = Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ConfigurationError(
                [f"{PREFIX}{name}{_FILE}: cannot read this file: {error.strerror}"]
            ) from None
        except UnicodeDecodeError:
            raise ConfigurationError(
                [f"{PREFIX}{name}{_FILE}: this file is no UTF-8 text"]
            ) from None
    return values


def _explain(problem: Mapping[str, Any]) -> str:
    name = "_".join(str(part) for part in problem["loc"][:1])
    return f"{PREFIX}{name.upper()}: {problem['msg']}"
