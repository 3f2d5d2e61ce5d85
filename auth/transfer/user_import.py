"""Imports users of another system: validates each line, and writes in batches.

Each batch is one short transaction, so servers can run during an import. To continue an interrupted
import, run it again: lines whose user exists already change nothing.
"""

import itertools
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from auth.audit import Action, AuditEntry, record_all
from auth.authorization import (
    check_may_all,
    check_may_grant,
    lock_users,
    read_authority,
)
from auth.errors import RoleNotFound
from auth.permissions import Actor, Permission
from auth.roles import get_roles, list_roles
from auth.transfer.claimed_names import BatchClaims, ClaimedNames
from auth.transfer.import_lines import ImportedUser, ImportLine, LineProblem, parse_line
from auth.wiring import Auth
from models.role import UserRole
from models.user import User

# A transaction of about 0.1 s, for which a server with SQLite can wait.
BATCH_SIZE = 1000

Report = Callable[[LineProblem], None]

_PERMISSIONS = (Permission.USERS_WRITE, Permission.ROLES_WRITE)


@dataclass(slots=True)
class ImportCounts:
    """The numbers of lines that were imported, unchanged and rejected."""

    imported: int = 0
    unchanged: int = 0
    rejected: int = 0


async def import_users(
    auth: Auth, actor: Actor, lines: Iterable[ImportLine], *, report: Report, dry_run: bool = False
) -> ImportCounts:
    """Imports the users of valid lines, and reports the problems of the others.

    A dry run reports the same and writes nothing. Raises Forbidden.
    """
    check_may_all(actor, _PERMISSIONS)
    roles = {
        role.name: role.id
        for role in await list_roles(auth, actor)
        if role.permissions <= actor.permissions
    }
    with closing(ClaimedNames()) as claims:
        batches = _Batches(auth, actor, roles, claims, report, dry_run=dry_run)
        for batch in _in_batches(lines):
            await batches.import_batch(batch)
        return batches.counts


def _in_batches(lines: Iterable[ImportLine]) -> Iterator[list[ImportLine]]:
    remaining = iter(lines)
    while batch := list(itertools.islice(remaining, BATCH_SIZE)):
        yield batch


@dataclass(slots=True)
class _SortedBatch:
    """The users of a batch to create, and the problems of the others."""

    new: list[ImportedUser] = field(default_factory=list)
    unchanged: int = 0
    problems: list[LineProblem] = field(default_factory=list)


class ExistingUsers:
    """The users in the database that have a username, email or ID of a batch."""

    def __init__(self) -> None:
        self._by_username: dict[str, tuple[UUID, str | None]] = {}
        self._emails: set[str | None] = set()
        self._ids: set[UUID] = set()

    @classmethod
    async def find(cls, session: AsyncSession, users: list[ImportedUser]) -> Self:
        """Finds the users that have a name of the batch.

        One query per column. With OR, SQLite would read the whole table if one list is empty.
        """
        existing = cls()
        await existing._find_by(session, User.username_key, {user.username_key for user in users})
        emails = {user.email_key for user in users if user.email_key}
        await existing._find_by(session, User.email_key, emails - existing._emails)
        ids = {user.id for user in users if user.keeps_id}
        await existing._find_by(session, User.id, ids - existing._ids)
        return existing

    async def _find_by(
        self, session: AsyncSession, column: InstrumentedAttribute[Any], values: set[Any]
    ) -> None:
        if not values:
            return
        query = select(User.id, User.username_key, User.email_key).where(column.in_(values))
        for user_id, username_key, email_key in await session.execute(query):
            self._by_username[username_key] = (user_id, email_key)
            self._emails.add(email_key)
            self._ids.add(user_id)

    def contains(self, user: ImportedUser) -> bool:
        """Returns whether an earlier run has imported this user."""
        user_id, email_key = self._by_username.get(user.username_key, (None, None))
        same_id = user_id == user.id or not user.keeps_id
        return user_id is not None and email_key == user.email_key and same_id

    def find_problem(self, user: ImportedUser) -> LineProblem | None:
        """Returns the name that the user has in common with another user."""
        if user.username_key in self._by_username:
            return LineProblem(user.line, "username", "is already used by another account")
        if user.email_key is not None and user.email_key in self._emails:
            return LineProblem(user.line, "email", "is already used by another account")
        if user.keeps_id and user.id in self._ids:
            return LineProblem(user.line, "id", "is already used by another account")
        return None


class _Batches:
    """Imports one batch after the other."""

    def __init__(
        self,
        auth: Auth,
        actor: Actor,
        roles: dict[str, UUID],
        claims: ClaimedNames,
        report: Report,
        *,
        dry_run: bool,
    ) -> None:
        self.counts = ImportCounts()
        self._auth = auth
        self._actor = actor
        self._roles = roles
        self._claims = claims
        self._report_problem = report
        self._dry_run = dry_run

    async def import_batch(self, lines: list[ImportLine]) -> None:
        """Imports the valid lines of a batch."""
        now = self._auth.clock.now()
        users: list[ImportedUser] = []
        for line in lines:
            parsed = parse_line(line, self._roles, now)
            if isinstance(parsed, ImportedUser):
                users.append(parsed)
            else:
                self._reject(parsed)
        if users:
            await self._write(users, now)

    async def _write(self, users: list[ImportedUser], now: datetime) -> None:
        try:
            with self._claims.batch(users) as claims:
                async with self._transaction() as tx:
                    batch = _sort(users, claims, await ExistingUsers.find(tx, users))
                    if batch.new and not self._dry_run:
                        await self._check_permissions(tx, batch.new)
                        await self._insert(tx, batch.new, now)
        except (IntegrityError, RoleNotFound):
            # A name was taken or a role was deleted since the check. Find the line.
            await self._write_halves(users, now)
        else:
            self._count(batch)

    async def _write_halves(self, users: list[ImportedUser], now: datetime) -> None:
        if len(users) == 1:
            message = "a name or a role changed during the import; run the import again"
            self._reject([LineProblem(users[0].line, None, message)])
            return
        middle = len(users) // 2
        await self._write(users[:middle], now)
        await self._write(users[middle:], now)

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncSession]:
        db = self._auth.db
        async with db.read() if self._dry_run else db.begin() as session:
            yield session

    async def _check_permissions(self, tx: AsyncSession, new: list[ImportedUser]) -> None:
        # An import takes minutes, so permissions and roles may have changed since its start.
        await lock_users(tx, self._actor)
        authority = await read_authority(tx, self._auth, self._actor)
        check_may_all(authority, _PERMISSIONS)
        names = {name for user in new for name in user.roles}
        ids = [self._roles[name] for name in names]
        check_may_grant(authority, await get_roles(tx, self._auth.permissions, ids))

    async def _insert(self, tx: AsyncSession, new: list[ImportedUser], now: datetime) -> None:
        # Without the unit of work of the ORM, which would take twice as long.
        connection = await tx.connection()
        await connection.execute(insert(User), [_columns(user) for user in new])
        held = [
            {"user_id": user.id, "role_id": self._roles[name]}
            for user in new
            for name in user.roles
        ]
        if held:
            await connection.execute(insert(UserRole), held)
        entries = (
            AuditEntry.by(self._actor, Action.USER_IMPORTED, now, subject_id=user.id)
            for user in new
        )
        await record_all(tx, entries)

    def _count(self, batch: _SortedBatch) -> None:
        self.counts.imported += len(batch.new)
        self.counts.unchanged += batch.unchanged
        for problem in batch.problems:
            self._reject([problem])

    def _reject(self, problems: list[LineProblem]) -> None:
        """Counts one rejected line and reports its problems."""
        self.counts.rejected += 1
        for problem in problems:
            self._report_problem(problem)


def _sort(users: list[ImportedUser], claims: BatchClaims, existing: ExistingUsers) -> _SortedBatch:
    batch = _SortedBatch()
    for user in users:
        # Checked first, since the database may already hold the user of the earlier line.
        if claim := claims.find(user):
            message = f"is already used in line {claim.line}"
            batch.problems.append(LineProblem(user.line, claim.field, message))
            continue
        if existing.contains(user):
            batch.unchanged += 1
        elif problem := existing.find_problem(user):
            batch.problems.append(problem)
            continue
        else:
            batch.new.append(user)
        claims.claim(user)
    return batch


def _columns(user: ImportedUser) -> dict[str, object]:
    return {
        "id": user.id,
        "username": user.username,
        "username_key": user.username_key,
        "email": user.email,
        "email_key": user.email_key,
        "full_name": user.full_name,
        "password_hash": user.password_hash,
        "password_is_temporary": user.password_is_temporary,
        "temporary_password_expires_at": user.temporary_password_expires_at,
        "email_verified_at": user.email_verified_at,
        "disabled_at": user.disabled_at,
        "created_at": user.created_at,
        "last_login_at": user.last_login_at,
    }
