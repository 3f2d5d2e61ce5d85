"""Accounts read by the page: rows without the ORM become records.

Roles are few, and accounts that are looked at are looked at again: what was made of a row is the
answer to every row that says the same, until a role changes.
"""

import time
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any
from uuid import UUID

from sqlalchemy import Row, String, bindparam, cast, select

from auth.permissions import PermissionRegistry
from auth.records import RoleRecord, UserRecord
from auth.tokens.gradual_cache import GradualCache
from auth.viewer_cache import MAX_AGE_SECONDS
from models.database import Database
from models.role import Role, RolePermission, UserRole
from models.stored import as_stored, joined, read_instant, read_uuid
from models.user import User

# Forty pages of fifty: some two megabytes.
MAX_USERS = 2_000
# Of roles that somebody has together; most have the same as others.
MAX_COMBINATIONS = 200

_held = UserRole.__table__.alias("held")
_ROLE_IDS = (
    select(joined(cast(_held.c.role_id, String)))
    .where(_held.c.user_id == User.id)
    .correlate(User)
    .scalar_subquery()
)
# What the rows begin with from which `UserRows` reads accounts.
USER_COLUMNS = (
    *map(as_stored, (User.id, User.username, User.email, User.full_name)),
    *map(as_stored, (User.email_verified_at, User.disabled_at)),
    *map(as_stored, (User.created_at, User.last_login_at, User.version)),
    _ROLE_IDS.label("role_ids"),
)

_PERMISSIONS = (
    select(joined(RolePermission.permission))
    .where(RolePermission.role_id == Role.id)
    .correlate(Role)
    .scalar_subquery()
)
_ROLES = select(
    cast(Role.id, String).label("stored_id"),
    *(Role.id, Role.name, Role.description, Role.built_in, Role.version),
    _PERMISSIONS.label("granted"),
).where(Role.id.in_(bindparam("ids", expanding=True)))

StoredUser = tuple[Any, ...]
# Roles of one person, and what they permit together.
Combination = tuple[tuple[RoleRecord, ...], frozenset[str]]


class UserRows:
    """Makes accounts of rows, and remembers them and their roles while these do not change."""

    def __init__(
        self, db: Database, registry: PermissionRegistry, *, max_users: int = MAX_USERS
    ) -> None:
        self._db = db
        self._registry = registry
        self._max_users = max_users
        self._book = RoleBook(max_users)
        db.changes.add(self)

    def __len__(self) -> int:
        return len(self._book.users)

    async def read(self, rows: Sequence[Row[Any]]) -> list[UserRecord]:
        """The accounts of rows that begin with USER_COLUMNS. Raises DatabaseUnavailable."""
        book = self._current_book()
        stored = [tuple(row[: len(USER_COLUMNS)]) for row in rows]
        role_ids = {role_id for ids in {user[-1] for user in stored} for role_id in _split(ids)}
        if unknown := role_ids - book.roles.keys():
            book.roles.update(await self._read_roles(unknown))
        return [book.user_of(user) for user in stored]

    def user_changed(self, user_id: UUID) -> None:
        """Concerns nothing: another row makes another account."""

    def everything_changed(self) -> None:
        """Forgets all: a role may be another."""
        self._book = RoleBook(self._max_users)

    def _current_book(self) -> "RoleBook":
        if not self._db.changes.is_current():
            return RoleBook(self._max_users)
        if time.monotonic() >= self._book.believed_until:
            self._book = RoleBook(self._max_users)
        return self._book

    async def _read_roles(self, stored_ids: Iterable[str]) -> dict[str, RoleRecord]:
        rows = await self._db.look_up(_ROLES, {"ids": [UUID(id_) for id_ in stored_ids]})
        return {
            row.stored_id: RoleRecord.granting(row, _split(row.granted), self._registry)
            for row in rows
        }


class RoleBook:
    """The roles as they are between two changes, and the accounts as these roles make them.

    Whoever began to read with it may finish with it; a change only sees to it that nobody else
    gets it.
    """

    def __init__(self, max_users: int) -> None:
        self.believed_until = time.monotonic() + MAX_AGE_SECONDS
        # By their ids as rows of accounts hold them.
        self.roles: dict[str, RoleRecord] = {}
        self.users = GradualCache[StoredUser, UserRecord](max_users)
        self._combinations: dict[str | None, Combination] = {}

    def user_of(self, stored: StoredUser) -> UserRecord:
        """The account, whose roles are in the book."""
        user = self.users.entries.get(stored)
        if user is None:
            user = self._make(stored)
            self.users.put(stored, user)
        return user

    def _make(self, stored: StoredUser) -> UserRecord:
        id_, username, email, full_name, verified, disabled, created, last_login, version, ids = (
            stored
        )
        roles, permissions = self._combinations.get(ids) or self._combine(ids)
        return UserRecord(
            id=read_uuid(id_),
            username=username,
            email=email,
            email_verified=verified is not None,
            full_name=full_name,
            disabled=disabled is not None,
            roles=roles,
            permissions=permissions,
            created_at=read_instant(created),
            last_login_at=None if last_login is None else read_instant(last_login),
            version=version,
        )

    def _combine(self, role_ids: str | None) -> Combination:
        # A role that is not here was deleted since the row was read.
        found = [self.roles[role_id] for role_id in _split(role_ids) if role_id in self.roles]
        roles = tuple(sorted(found, key=attrgetter("name")))
        combination = roles, frozenset[str]().union(*(role.permissions for role in roles))
        if len(self._combinations) >= MAX_COMBINATIONS:
            self._combinations.clear()
        self._combinations[role_ids] = combination
        return combination


def _split(texts: str | None) -> list[str]:
    return texts.split(",") if texts else []
