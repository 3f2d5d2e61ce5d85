"""Exports all users page by page, in the format of the import."""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncSession

from auth.audit import Action
from auth.authorization import authorized, check_may_all, read_authority
from auth.permissions import Actor, Permission
from auth.wiring import Auth
from models.role import Role, UserRole
from models.user import User

PAGE_SIZE = 1000

_PERMISSIONS = (Permission.USERS_READ, Permission.USERS_WRITE)

_COLUMNS = (
    User.id,
    User.username,
    User.email,
    User.email_verified_at,
    User.full_name,
    User.disabled_at,
    User.created_at,
    User.last_login_at,
    User.password_is_temporary,
)


async def export_users(
    auth: Auth, actor: Actor, *, with_password_hashes: bool
) -> AsyncIterator[list[dict[str, Any]]]:
    """Yields pages of users, ordered by ID, with the fields of `import_lines.FIELDS`.

    Records the export in the audit log first. Users that change during the export may be missing
    or outdated. Raises Forbidden.
    """
    columns = (*_COLUMNS, User.password_hash) if with_password_hashes else _COLUMNS
    await _record(auth, actor, with_password_hashes=with_password_hashes)
    after: UUID | None = None
    while True:
        async with auth.db.read() as session:
            check_may_all(await read_authority(session, auth, actor), _PERMISSIONS)
            query = select(*columns).order_by(User.id).limit(PAGE_SIZE)
            rows = (await session.execute(query.where(User.id > after) if after else query)).all()
            if not rows:
                return
            roles = await _roles_between(session, rows[0].id, rows[-1].id)
        after = rows[-1].id
        yield _users(rows, roles)


async def _record(auth: Auth, actor: Actor, *, with_password_hashes: bool) -> None:
    async with authorized(auth, actor, Action.USERS_EXPORTED, *_PERMISSIONS) as operation:
        operation.details["password_hashes"] = "yes" if with_password_hashes else "no"


async def _roles_between(session: AsyncSession, first: UUID, last: UUID) -> dict[UUID, list[str]]:
    query = (
        select(UserRole.user_id, Role.name)
        .join(Role, Role.id == UserRole.role_id)
        .where(UserRole.user_id.between(first, last))
        .order_by(Role.name)
    )
    roles: dict[UUID, list[str]] = defaultdict(list)
    for user_id, name in await session.execute(query):
        roles[user_id].append(name)
    return roles


def _users(
    rows: Sequence[Row[*tuple[Any, ...]]], roles: dict[UUID, list[str]]
) -> list[dict[str, Any]]:
    return [
        {name: _plain(value) for name, value in row._mapping.items()}  # noqa: SLF001 - it is public
        | {"roles": roles.get(row.id, [])}
        for row in rows
    ]


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return str(value) if isinstance(value, UUID) else value
