"""Accounts of another system, in great number: checked line by line, written batch by batch.

Each batch is one short transaction, so a server may run meanwhile, and an import that was
interrupted is continued by running it again: lines whose account is there already change nothing.
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
from auth.transfer.import_claims import Attempt, Claims
from auth.transfer.import_lines import Incoming, Line, Problem, parse_line
from auth.wiring import Auth
from models.role import UserRole
from models.user import User

# Some 0.1 s of a transaction: SQLite lets a server wait that long without complaint.
BATCH = 1000

Tell = Callable[[Problem], None]

_NEEDED = (Permission.USERS_WRITE, Permission.ROLES_WRITE)


@dataclass(slots=True)
class ImportCounts:
    """What became of the lines."""

    imported: int = 0
    already_there: int = 0
    refused: int = 0


async def import_users(
    auth: Auth, actor: Actor, lines: Iterable[Line], *, tell: Tell, dry_run: bool = False
) -> ImportCounts:
    """Writes the account of every line that can be written, and tells of each that cannot.

    A dry run tells the same and writes nothing. Raises Forbidden.
    """
    check_may_all(actor, _NEEDED)
    roles = {
        role.name: role.id
        for role in await list_roles(auth, actor)
        if role.permissions <= actor.permissions
    }
    with closing(Claims()) as claims:
        batches = _Batches(auth, actor, roles, claims, tell, dry_run=dry_run)
        for some in _in_batches(lines):
            await batches.take(some)
        return batches.counts


def _in_batches(lines: Iterable[Line]) -> Iterator[list[Line]]:
    remaining = iter(lines)
    while some := list(itertools.islice(remaining, BATCH)):
        yield some


@dataclass(slots=True)
class _Verdict:
    """What is to become of a batch."""

    new: list[Incoming] = field(default_factory=list)
    already_there: int = 0
    problems: list[Problem] = field(default_factory=list)


class _Known:
    """The accounts of the database that have a name of a batch."""

    def __init__(self) -> None:
        self._by_username: dict[str, tuple[UUID, str | None]] = {}
        self._emails: set[str | None] = set()
        self._ids: set[UUID] = set()

    @classmethod
    async def of(cls, session: AsyncSession, some: list[Incoming]) -> Self:
        """Looks for everything that only one account can have.

        One by one: joined by OR, one of them that is empty makes SQLite read the whole table.
        """
        known = cls()
        await known._look(session, User.username_key, {i.username_key for i in some})
        emails = {incoming.email_key for incoming in some if incoming.email_key}
        await known._look(session, User.email_key, emails - known._emails)
        ids = {incoming.id for incoming in some if incoming.keeps_id}
        await known._look(session, User.id, ids - known._ids)
        return known

    async def _look(
        self, session: AsyncSession, column: InstrumentedAttribute[Any], values: set[Any]
    ) -> None:
        if not values:
            return
        query = select(User.id, User.username_key, User.email_key).where(column.in_(values))
        for user_id, username_key, email_key in await session.execute(query):
            self._by_username[username_key] = (user_id, email_key)
            self._emails.add(email_key)
            self._ids.add(user_id)

    def is_there(self, incoming: Incoming) -> bool:
        """Whether this is an account that an earlier run has imported."""
        user_id, email_key = self._by_username.get(incoming.username_key, (None, None))
        same_id = user_id == incoming.id or not incoming.keeps_id
        return user_id is not None and email_key == incoming.email_key and same_id

    def problem(self, incoming: Incoming) -> Problem | None:
        """What another account has of this one."""
        if incoming.username_key in self._by_username:
            return Problem(incoming.line, "username", "another account has it")
        if incoming.email_key is not None and incoming.email_key in self._emails:
            return Problem(incoming.line, "email", "another account has it")
        if incoming.keeps_id and incoming.id in self._ids:
            return Problem(incoming.line, "id", "another account has it")
        return None


class _Batches:
    """Takes one batch of lines after the other."""

    def __init__(
        self,
        auth: Auth,
        actor: Actor,
        roles: dict[str, UUID],
        claims: Claims,
        tell: Tell,
        *,
        dry_run: bool,
    ) -> None:
        self.counts = ImportCounts()
        self._auth = auth
        self._actor = actor
        self._roles = roles
        self._claims = claims
        self._tell = tell
        self._dry_run = dry_run

    async def take(self, lines: list[Line]) -> None:
        """Imports what can be imported of these lines."""
        now = self._auth.clock.now()
        some: list[Incoming] = []
        for line in lines:
            parsed = parse_line(line, self._roles, now)
            if isinstance(parsed, Incoming):
                some.append(parsed)
            else:
                self._refuse(parsed)
        if some:
            await self._write(some, now)

    async def _write(self, some: list[Incoming], now: datetime) -> None:
        try:
            with self._claims.attempt(some) as attempt:
                async with self._transaction() as tx:
                    verdict = _judge(some, attempt, await _Known.of(tx, some))
                    if verdict.new and not self._dry_run:
                        await self._check_rights(tx, verdict.new)
                        await self._insert(tx, verdict.new, now)
        except (IntegrityError, RoleNotFound):
            # Somebody took a name, or deleted a role, since we looked: find out whose line it is.
            await self._write_halves(some, now)
        else:
            self._count(verdict)

    async def _write_halves(self, some: list[Incoming], now: datetime) -> None:
        if len(some) == 1:
            message = "the database refuses it: a name or a role has changed at this moment"
            self._refuse([Problem(some[0].line, None, message)])
            return
        middle = len(some) // 2
        await self._write(some[:middle], now)
        await self._write(some[middle:], now)

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncSession]:
        db = self._auth.db
        async with db.read() if self._dry_run else db.begin() as session:
            yield session

    async def _check_rights(self, tx: AsyncSession, new: list[Incoming]) -> None:
        # An import takes minutes: the actor's rights, or a role, may have changed since it began.
        await lock_users(tx, self._actor)
        authority = await read_authority(tx, self._auth, self._actor)
        check_may_all(authority, _NEEDED)
        names = {name for incoming in new for name in incoming.roles}
        ids = [self._roles[name] for name in names]
        check_may_grant(authority, await get_roles(tx, self._auth.permissions, ids))

    async def _insert(self, tx: AsyncSession, new: list[Incoming], now: datetime) -> None:
        # Past the unit of work, which would double the time.
        connection = await tx.connection()
        await connection.execute(insert(User), [_columns(incoming) for incoming in new])
        held = [
            {"user_id": incoming.id, "role_id": self._roles[name]}
            for incoming in new
            for name in incoming.roles
        ]
        if held:
            await connection.execute(insert(UserRole), held)
        acts = (
            AuditEntry.by(self._actor, Action.USER_IMPORTED, now, subject_id=incoming.id)
            for incoming in new
        )
        await record_all(tx, acts)

    def _count(self, verdict: _Verdict) -> None:
        self.counts.imported += len(verdict.new)
        self.counts.already_there += verdict.already_there
        for problem in verdict.problems:
            self._refuse([problem])

    def _refuse(self, problems: list[Problem]) -> None:
        """Tells of one line, with all that is wrong with it."""
        self.counts.refused += 1
        for problem in problems:
            self._tell(problem)


def _judge(some: list[Incoming], attempt: Attempt, known: _Known) -> _Verdict:
    verdict = _Verdict()
    for incoming in some:
        # Asked before the database, where the earlier line would look like another account.
        if claim := attempt.find(incoming):
            message = f"line {claim.line} has it already"
            verdict.problems.append(Problem(incoming.line, claim.field, message))
            continue
        if known.is_there(incoming):
            verdict.already_there += 1
        elif problem := known.problem(incoming):
            verdict.problems.append(problem)
            continue
        else:
            verdict.new.append(incoming)
        attempt.claim(incoming)
    return verdict


def _columns(incoming: Incoming) -> dict[str, object]:
    return {
        "id": incoming.id,
        "username": incoming.username,
        "username_key": incoming.username_key,
        "email": incoming.email,
        "email_key": incoming.email_key,
        "full_name": incoming.full_name,
        "password_hash": incoming.password_hash,
        "password_is_temporary": incoming.password_is_temporary,
        "temporary_password_expires_at": incoming.temporary_password_expires_at,
        "email_verified_at": incoming.email_verified_at,
        "disabled_at": incoming.disabled_at,
        "created_at": incoming.created_at,
        "last_login_at": incoming.last_login_at,
    }
