"""The face of Postern for own code: resolvers of one's own beside ours, behind the same guards."""

from auth.viewers import Viewer
from graph.context import Info
from graph.errors import BadUserInput
from graph.permissions import HasPermission, HasRole, IsAuthenticated, IsSelfOr, Public
from graph.users import User
from server.app import create_app

__all__ = [
    "BadUserInput",
    "HasPermission",
    "HasRole",
    "Info",
    "IsAuthenticated",
    "IsSelfOr",
    "Public",
    "User",
    "Viewer",
    "create_app",
]
