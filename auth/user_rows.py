"""Users read without the ORM, with a cache of user records.

A list of users reads many rows with few different roles. Rows with equal values share one cached
record, until a role changes.
"""

import time
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any
from uuid import UUID

from sqlalchemy import Row, String, bindparam, cast, select

from auth.permissions import PermissionRegistry
from auth.records import RoleRecord, UserRecord, permissions_of
from auth.tokens.random_eviction_cache import RandomEvictionCache
from auth.viewer_cache import MAX_AGE_SECONDS
from models.database import Database
from models.role import Role, RolePermission, UserRole
from models.stored import as_stored, joined
from models.user import User

# Forty pages of fifty users: about two megabytes.
MAX_USERS = 2_000
# Sets of roles that users have. Most users have the same roles as others.
MAX_ROLE_SETS = 200

_held = UserRole.__table__.alias("held")
_ROLE_IDS = (
    select(joined(cast(_held.c.role_id, String)))
    .where(_held.c.user_id == User.id)
    .correlate(User)
    .scalar_subquery()
)
# The first columns of the rows that `UserRows` reads.
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
# Roles, and what they permit together.
RoleSet = tuple[tuple[RoleRecord, ...], frozenset[str]]


class UserRows:
    """Turns rows into user records, and caches the records and their roles."""

    def __init__(
        self,
        db: Database,
        registry: PermissionRegistry,
        *,
        max_users: int = MAX_USERS,
        max_role_sets: int = MAX_ROLE_SETS,
    ) -> None:
        self._db = db
        self._registry = registry
        self._bounds = max_users, max_role_sets
        self._entries = _Entries(*self._bounds)
        db.change_feed.add(self)

    def __len__(self) -> int:
        return len(self._entries.users)

    @property
    def role_sets(self) -> int:
        """The number of cached sets of roles."""
        return len(self._entries.role_sets)

    async def read(self, rows: Sequence[Row[Any]]) -> list[UserRecord]:
        """Returns the users of rows that start with USER_COLUMNS. Raises DatabaseUnavailable."""
        entries = self._current_entries()
        stored = [tuple(row[: len(USER_COLUMNS)]) for row in rows]
        role_ids = {role_id for ids in {user[-1] for user in stored} for role_id in _split(ids)}
        if unknown := role_ids - entries.roles.keys():
            entries.roles.update(await self._read_roles(unknown))
        return [entries.get_user(user) for user in stored]

    def user_changed(self, user_id: UUID) -> None:
        """Does nothing: a changed row is another key."""

    def everything_changed(self) -> None:
        """Drops all entries, because a role may have changed."""
        self._entries = _Entries(*self._bounds)

    def _current_entries(self) -> "_Entries":
        if not self._db.change_feed.is_current():
            return _Entries(*self._bounds)
        if time.monotonic() >= self._entries.expires_at:
            self._entries = _Entries(*self._bounds)
        return self._entries

    async def _read_roles(self, stored_ids: Iterable[str]) -> dict[str, RoleRecord]:
        rows = await self._db.look_up(_ROLES, {"ids": [UUID(id_) for id_ in stored_ids]})
        return {
            row.stored_id: RoleRecord.granting(row, _split(row.granted), self._registry)
            for row in rows
        }


class _Entries:
    """The cache entries between two changes of roles.

    A change replaces the object. A read that started before the change finishes with the old one.
    """

    def __init__(self, max_users: int, max_role_sets: int) -> None:
        self.expires_at = time.monotonic() + MAX_AGE_SECONDS
        # By ID, as the rows of users hold it.
        self.roles: dict[str, RoleRecord] = {}
        self.users = RandomEvictionCache[StoredUser, UserRecord](max_users)
        self.role_sets: dict[str | None, RoleSet] = {}
        self._max_role_sets = max_role_sets

    def get_user(self, stored: StoredUser) -> UserRecord:
        """Returns the user's record. The roles must be loaded."""
        user = self.users.entries.get(stored)
        if user is None:
            user = UserRecord.of_stored(stored, *self._get_role_set(stored[-1]))
            self.users.put(stored, user)
        return user

    def _get_role_set(self, role_ids: str | None) -> RoleSet:
        known = self.role_sets.get(role_ids)
        if known is not None:
            return known
        # A role that is missing was deleted after the row was read.
        found = [self.roles[role_id] for role_id in _split(role_ids) if role_id in self.roles]
        roles = tuple(sorted(found, key=attrgetter("name")))
        if len(self.role_sets) >= self._max_role_sets:
            self.role_sets.clear()
        self.role_sets[role_ids] = roles, permissions_of(roles)
        return self.role_sets[role_ids]


def _split(texts: str | None) -> list[str]:
    return texts.split(",") if texts else []
