"""Loads a custom application that contains Postern (`--app module:function`)."""

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from server.settings import ConfigurationError

_ADVICE = (
    "Name a function without arguments that returns the application, as in `notes.app:create`."
)

_RETURN = "Return the result of `create_app`, or the application given to `mount_postern`."


def load_app(name: str) -> FastAPI:
    """Calls `module:function` and returns the application. Raises ConfigurationError.

    Modules can be in the current folder, as with `python -m`.
    """
    app = find_factory(name)()
    if not isinstance(app, FastAPI) or not hasattr(postern_of(app).state, "auth"):
        raise ConfigurationError(
            [f"POSTERN_APP: {name} did not return an application with Postern. {_RETURN}"]
        )
    return app


def postern_of(app: FastAPI) -> FastAPI:
    """Returns the application of Postern: `app` itself, or the one that is mounted in it."""
    postern: FastAPI = getattr(app.state, "postern", app)
    return postern


def find_factory(name: str) -> Callable[[], Any]:
    """Imports `module:function`, and returns the function. Raises ConfigurationError."""
    module_name, colon, function = name.partition(":")
    if not (module_name and colon and function):
        raise ConfigurationError([f"POSTERN_APP: {name!r} is not `module:function`. {_ADVICE}"])
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise ConfigurationError(
            [f"POSTERN_APP: there is no module {error.name} in {folder} or the installed packages."]
        ) from None
    factory = getattr(module, function, None)
    if not callable(factory) or isinstance(factory, FastAPI):
        raise ConfigurationError([f"POSTERN_APP: {name} is not a function. {_ADVICE}"])
    return factory  # type: ignore[no-any-return] # checked by `load_app`
