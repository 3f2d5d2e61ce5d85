"""Permissions: which there are, and whether somebody has one."""

import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Protocol
from uuid import UUID

from auth.clients import CONSOLE, Client
from auth.errors import Forbidden

EVERYTHING = "*"
DEFAULT_ROLE = "user"

BUILT_IN_PERMISSIONS: Mapping[str, str] = MappingProxyType(
    {
        "audit:read": "Read the audit trail.",
        "roles:write": "Give and take roles, and change what they permit.",
        "sessions:revoke": "End the sessions of other people.",
        "tokens:introspect": "Ask what a token is good for (RFC 7662).",
        "users:read": "Read all accounts.",
        "users:write": "Create, change, disable and enable accounts.",
    }
)

_PERMISSION = re.compile(r"[a-z][a-z0-9_-]*:[a-z][a-z0-9_-]*")


class PermissionRegistry:
    """All permissions of this installation, Postern's and those of own code."""

    def __init__(self, own: Mapping[str, str] | None = None) -> None:
        """Takes own permissions with their descriptions. Raises ValueError for a malformed one."""
        for permission in own or {}:
            if not _PERMISSION.fullmatch(permission) or len(permission) > 64:
                raise ValueError(
                    f"the permission {permission!r} must look like 'resource:action', in lower case"
                )
        self._descriptions = {**BUILT_IN_PERMISSIONS, **(own or {})}
        self._guarding_roles: set[str] = set()

    def __contains__(self, permission: str) -> bool:
        return permission in self._descriptions

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._descriptions))

    def describe(self, permission: str) -> str:
        """What a permission permits, in one sentence."""
        return self._descriptions[permission]

    def expand(self, granted: Iterable[str]) -> frozenset[str]:
        """Turns what roles grant into permissions that exist; `*` stands for all of them."""
        granted = frozenset(granted)
        known = frozenset(self._descriptions)
        return known if EVERYTHING in granted else granted & known

    def unknown(self, granted: Iterable[str]) -> frozenset[str]:
        """What roles grant and this process does not know: permissions of another deployment."""
        return frozenset(granted).difference(self._descriptions, {EVERYTHING})

    def add_guarding_role(self, name: str) -> None:
        """Makes the role's name a power of its own, because a `HasRole` guard asks for it."""
        self._guarding_roles.add(name)

    def powers(self, role_name: str, granted: Iterable[str]) -> frozenset[str]:
        """All that a role gives: what it grants, known here or not, and its name if that counts.

        Every account begins with the default role, so its name gives nothing.
        """
        guards = role_name in self._guarding_roles and role_name != DEFAULT_ROLE
        return frozenset(granted) | ({f"role {role_name}"} if guards else set())


class Actor(Protocol):
    """Who does something: a viewer, or an operator at the console."""

    @property
    def user_id(self) -> UUID | None:
        """The account of the actor; None at the console."""

    @property
    def session_id(self) -> UUID | None:
        """The session in which the actor acts; None if there is none."""

    @property
    def permissions(self) -> frozenset[str]:
        """What the actor may do."""

    @property
    def client(self) -> Client:
        """Where the actor is."""


class Console:
    """Whoever can run commands on the server may do everything: they can open the database too."""

    user_id = None
    session_id = None
    client = CONSOLE

    def __init__(self, registry: PermissionRegistry) -> None:
        self.permissions = frozenset(registry)


def may(actor: Actor, permission: str) -> bool:
    """Whether the actor holds the permission."""
    return permission in actor.permissions


def check_may(actor: Actor, permission: str) -> None:
    """Raises Forbidden unless the actor holds the permission."""
    if not may(actor, permission):
        raise Forbidden(permission)
