"""The public Python API: permission classes, the context, and the server as an application.

Everything in `__all__` follows the changelog. All other modules are internal.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from postern.api import *  # type checkers see the names of __all__

__all__ = [
    "BadUserInput",
    "Context",
    "FederationSchema",
    "HasPermission",
    "HasRole",
    "Info",
    "IsAuthenticated",
    "IsSelfOr",
    "Public",
    "User",
    "Viewer",
    "create_app",
    "holding_permissions",
    "include_name",
    "mount_postern",
    "require_viewer",
    "users",
]


def __getattr__(name: str) -> object:
    """Imports a public name at its first use.

    Every module of an installed Postern is inside this package. The command line must not load the
    whole API with it.
    """
    if name in __all__:
        return getattr(import_module(".api", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
