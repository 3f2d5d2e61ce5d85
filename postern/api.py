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
from models.tables import include_name
from models.user import User as _UserRow
from server.app import create_app
from server.embedding import mount_postern, require_viewer

# The table, for foreign keys: `ForeignKey(postern.users.c.id)`.
users = _UserRow.__table__

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
