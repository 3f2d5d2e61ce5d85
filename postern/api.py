"""The public names of Postern. Import them from `postern`."""

from auth.viewers import Viewer
from graph.context import Context, Info
from graph.errors.graphql_errors import BadUserInput
from graph.federation import FederationSchema
from graph.permissions import (
    HasPermission,
    HasRole,
    IsAuthenticated,
    IsSelfOr,
    Public,
    holding_permissions,
)
from graph.users import User
from server.app import create_app
from server.embedding import mount_postern, require_viewer

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
    "mount_postern",
    "require_viewer",
]
