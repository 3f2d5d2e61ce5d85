"""Permissions: the registry of all permissions, and checks of an actor."""

import re
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol
from uuid import UUID

from auth.clients import CONSOLE, Client
from auth.errors import Forbidden

EVERYTHING = "*"
DEFAULT_ROLE = "user"


class Permission(StrEnum):
    """The built-in permissions. Custom code registers more."""

    AUDIT_READ = "audit:read"
    ROLES_WRITE = "roles:write"
    SESSIONS_REVOKE = "sessions:revoke"
    TOKENS_INTROSPECT = "tokens:introspect"
    USERS_READ = "users:read"
    USERS_WRITE = "users:write"


BUILT_IN_PERMISSIONS: Mapping[str, str] = MappingProxyType(
    {
        Permission.AUDIT_READ.value: "Read the audit log.",
        Permission.ROLES_WRITE.value: "Assign roles, and create, change and delete custom roles.",
        Permission.SESSIONS_REVOKE.value: "End the sessions of other users.",
        Permission.TOKENS_INTROSPECT.value: "Introspect tokens (RFC 7662).",
        Permission.USERS_READ.value: "Read all users.",
        Permission.USERS_WRITE.value: "Create, change, disable and enable users.",
    }
)

_PERMISSION = re.compile(r"[a-z][a-z0-9_-]*:[a-z][a-z0-9_-]*")


class PermissionRegistry:
    """All permissions of this server: the built-in ones and those of custom code."""

    def __init__(self, custom: Mapping[str, str] | None = None) -> None:
        """Adds custom permissions with descriptions. Raises ValueError for an invalid name."""
        for permission in custom or {}:
            if not _PERMISSION.fullmatch(permission) or len(permission) > 64:
                raise ValueError(
                    f"invalid permission {permission!r}: write 'resource:action' in lower case"
                )
        self._descriptions = {**BUILT_IN_PERMISSIONS, **(custom or {})}
        self._guarding_roles: set[str] = set()

    def __contains__(self, permission: str) -> bool:
        return permission in self._descriptions

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._descriptions))

    def describe(self, permission: str) -> str:
        """Returns the description of a permission, one sentence."""
        return self._descriptions[permission]

    def expand(self, granted: Iterable[str]) -> frozenset[str]:
        """Returns the known permissions among those that roles grant. `*` grants all of them."""
        granted = frozenset(granted)
        known = frozenset(self._descriptions)
        return known if EVERYTHING in granted else granted & known

    def unknown(self, granted: Iterable[str]) -> frozenset[str]:
        """Returns the granted permissions that this process does not know.

        Another deployment with other custom code may have registered them.
        """
        return frozenset(granted).difference(self._descriptions, {EVERYTHING})

    def add_guarding_role(self, name: str) -> None:
        """Registers a role that a `HasRole` guard requires. Its name becomes a privilege."""
        self._guarding_roles.add(name)

    def privileges(self, role_name: str, granted: Iterable[str]) -> frozenset[str]:
        """Returns the privileges of a role: its permissions, known or not, and its name.

        The name counts only if a guard requires the role. It never counts for the default role,
        which every new user has.
        """
        guards = role_name in self._guarding_roles and role_name != DEFAULT_ROLE
        return frozenset(granted) | ({f"role {role_name}"} if guards else set())


class Actor(Protocol):
    """The user of a request: a viewer, or the operator at the console."""

    @property
    def user_id(self) -> UUID | None:
        """The ID of the actor's user; None at the console."""

    @property
    def session_id(self) -> UUID | None:
        """The ID of the actor's session; None at the console."""

    @property
    def permissions(self) -> frozenset[str]:
        """The permissions of the actor."""

    @property
    def client(self) -> Client:
        """The client that the actor uses."""


class Console:
    """The operator at the console. Has all permissions, because they can open the database too."""

    user_id = None
    session_id = None
    client = CONSOLE

    def __init__(self, registry: PermissionRegistry) -> None:
        self.permissions = frozenset(registry)


def may(actor: Actor, permission: str) -> bool:
    """Returns whether the actor has the permission."""
    return permission in actor.permissions


def check_may(actor: Actor, permission: str) -> None:
    """Checks that the actor has the permission. Raises Forbidden."""
    if not may(actor, permission):
        raise Forbidden(str(permission))
