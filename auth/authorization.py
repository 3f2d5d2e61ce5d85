"""Authorization inside the transaction of an operation.

A request is checked when it arrives. Before its transaction starts, the actor may lose a role, the
user may be disabled, or the session may end. So each use case with an actor runs inside
`authorized`, `managed_user` or `own_account`. These lock the rows that the decision depends on,
read and check them again, and add the audit event to the transaction.

Lock order, to avoid deadlocks: advisory lock, users by ID, session, roles by ID, other rows. On
PostgreSQL this relies on READ COMMITTED: a statement after the locks sees what was committed before
them. SQLite runs one write transaction at a time.
"""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from auth.audit import Action, AuditEntry, record
from auth.clients import Client
from auth.errors import Forbidden, TokenInvalid, UserDisabled, UserNotFound
from auth.permissions import EVERYTHING, Actor, Console, Permission, check_may
from auth.records import WITH_ROLES, RoleRecord, UserRecord
from auth.sessions import check_active
from auth.wiring import Auth
from models.role import Role, RolePermission, UserRole
from models.session import Session
from models.user import User


@dataclass(frozen=True, slots=True)
class Authority:
    """The permissions of an actor, read inside the transaction."""

    user_id: UUID | None
    session_id: UUID | None
    client: Client
    permissions: frozenset[str]
    # What the actor may grant to others: see `RoleRecord.privileges`.
    privileges: frozenset[str]


@dataclass(slots=True)
class Operation:
    """An authorized operation in its transaction. Its audit event is recorded at the end."""

    tx: AsyncSession
    at: datetime
    actor: Authority
    subject_id: UUID | None = None
    session_id: UUID | None = None
    details: dict[str, str] = field(default_factory=dict)
    # An operation that changes nothing is not recorded: it could fill the audit log.
    changed: bool = True

    async def get_subject(self) -> User:
        """Returns the current row of the subject, with its roles. Raises UserNotFound."""
        row = None if self.subject_id is None else await _find_user(self.tx, self.subject_id)
        if row is None:
            raise UserNotFound
        return row


@asynccontextmanager
async def authorized(
    auth: Auth,
    actor: Actor,
    action: Action,
    *permissions: str,
    subject_id: UUID | None = None,
    lock: str | None = None,
) -> AsyncIterator[Operation]:
    """Opens a transaction in which the actor has the permissions until the commit.

    `lock` names an advisory lock that the transaction takes first. Raises Forbidden,
    Unauthenticated.
    """
    check_may_all(actor, permissions)
    async with auth.db.begin() as tx:
        if lock is not None:
            await auth.db.lock(tx, lock)
        authority = await _hold_authority(tx, auth, actor, permissions, subject_id)
        operation = Operation(tx, auth.clock.now(), authority, subject_id)
        yield operation
        if operation.changed:
            record(tx, _act(operation, action))


@asynccontextmanager
async def own_account(auth: Auth, actor: Actor, action: Action) -> AsyncIterator[Operation]:
    """Opens a transaction on the actor's own account. Raises Unauthenticated."""
    async with authorized(auth, actor, action, subject_id=actor.user_id) as operation:
        operation.session_id = actor.session_id
        yield operation


@asynccontextmanager
async def managed_user(
    auth: Auth, actor: Actor, action: Action, user_id: UUID
) -> AsyncIterator[tuple[Operation, User]]:
    """Opens a transaction in which the actor may change the user. Yields the user's row.

    Needs `users:write` and all privileges of the user's roles. Otherwise an admin could take over a
    more powerful account. Raises Forbidden, Unauthenticated, UserNotFound.
    """
    async with authorized(
        auth, actor, action, Permission.USERS_WRITE, subject_id=user_id
    ) as operation:
        row = await operation.get_subject()
        check_may_grant(operation.actor, UserRecord.of(row, auth.permissions).roles)
        yield operation, row


@asynccontextmanager
async def holding_permissions(
    auth: Auth, actor: Actor, *permissions: str
) -> AsyncIterator[Authority]:
    """Keeps the permissions of the actor until the block ends. Records nothing.

    A transaction that removes a permission waits until the block ends. Raises Forbidden,
    Unauthenticated.
    """
    check_may_all(actor, permissions)
    async with auth.db.begin() as tx:
        yield await _hold_authority(tx, auth, actor, permissions)


async def _hold_authority(
    tx: AsyncSession,
    auth: Auth,
    actor: Actor,
    permissions: Collection[str],
    subject_id: UUID | None = None,
) -> Authority:
    await lock_users(tx, actor, subject_id)
    authority = await read_authority(tx, auth, actor)
    check_may_all(authority, permissions)
    return authority


def check_may_all(actor: Actor, permissions: Collection[str]) -> None:
    """Raises Forbidden for the first permission that the actor does not have."""
    for permission in permissions:
        check_may(actor, permission)


def check_may_grant(authority: Authority, roles: Collection[RoleRecord]) -> None:
    """Raises Forbidden if a role gives more than the actor has."""
    for role in roles:
        check_has_privileges(authority, role.privileges, role.permissions)


def check_has_privileges(
    authority: Authority, privileges: frozenset[str], permissions: frozenset[str] = frozenset()
) -> None:
    """Raises Forbidden for a privilege that the actor does not have."""
    if EVERYTHING in authority.privileges:
        return
    # A permission is a better hint than the `*` that includes it.
    missing = [
        *sorted(permissions - authority.permissions),
        *sorted(privileges - authority.privileges),
    ]
    if missing:
        raise Forbidden(missing[0])


async def lock_users(tx: AsyncSession, actor: Actor, subject_id: UUID | None = None) -> None:
    """Locks the rows of the actor's permissions and of the subject."""
    ids = [user_id for user_id in (actor.user_id, subject_id) if user_id is not None]
    if not ids:
        return
    users = select(User.id).where(User.id.in_(ids)).order_by(User.id)
    await tx.execute(users.with_for_update())
    if actor.session_id is not None:
        session = select(Session.id).where(Session.id == actor.session_id)
        await tx.execute(session.with_for_update(read=True))
    # Also the rows between users and roles, which someone may delete in psql.
    held = select(Role.id).join(UserRole).where(UserRole.user_id.in_(ids)).order_by(Role.id)
    role_ids = set(await tx.scalars(held.with_for_update(read=True)))
    granted = select(RolePermission.role_id).where(RolePermission.role_id.in_(role_ids))
    await tx.execute(granted.with_for_update(read=True))


async def read_authority(tx: AsyncSession, auth: Auth, actor: Actor) -> Authority:
    """Returns the current permissions of the actor. Raises Unauthenticated like `get_viewer`."""
    if actor.user_id is None:
        privileges = {EVERYTHING} if isinstance(actor, Console) else actor.permissions
        return Authority(None, None, actor.client, actor.permissions, frozenset(privileges))
    row = await _find_user(tx, actor.user_id)
    if row is None:
        raise TokenInvalid
    if row.disabled_at is not None:
        raise UserDisabled
    if actor.session_id is not None:
        await _check_session(tx, actor.session_id, row.id, auth.clock.now())
    user = UserRecord.of(row, auth.permissions)
    privileges = frozenset[str]().union(*(role.privileges for role in user.roles))
    return Authority(row.id, actor.session_id, actor.client, user.permissions, privileges)


async def _check_session(tx: AsyncSession, session_id: UUID, user_id: UUID, now: datetime) -> None:
    session = await tx.get(Session, session_id, populate_existing=True)
    if session is None or session.user_id != user_id:
        raise TokenInvalid
    check_active(session, now)


async def _find_user(tx: AsyncSession, user_id: UUID) -> User | None:
    query = select(User).where(User.id == user_id).options(WITH_ROLES)
    found: User | None = await tx.scalar(query, execution_options={"populate_existing": True})
    return found


def _act(operation: Operation, action: Action) -> AuditEntry:
    return AuditEntry.by(
        operation.actor,
        action,
        operation.at,
        subject_id=operation.subject_id,
        session_id=operation.session_id,
        details=operation.details,
    )
