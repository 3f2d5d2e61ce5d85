"""Accounts for benchmarks, inserted without the API, which would hash a password for each."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, text

from auth.clients import Client
from auth.sessions import ends_at, start_session
from auth.tokens import access_tokens as tokens
from auth.tokens.access_tokens import Grant
from auth.wiring import Auth
from graph.connections import encode_cursor
from models.base import uuid7
from models.database import Database
from models.role import Role, UserRole
from models.user import User
from tests.accounts import CREATED_AT

BATCH = 5_000


async def fill(db: Database, count: int, *, password_hash: str | None = None) -> None:
    """Inserts accounts; every hundredth is an auditor, every fiftieth is disabled."""
    async with db.read() as session:
        roles = {role.name: role.id for role in await session.scalars(select(Role))}
    for start in range(0, count, BATCH):
        numbers = range(start, min(start + BATCH, count))
        users = [_user(number) | {"password_hash": password_hash} for number in numbers]
        held = [
            {"user_id": user["id"], "role_id": roles["auditor" if n % 100 == 0 else "user"]}
            for n, user in zip(numbers, users, strict=True)
        ]
        async with db.begin() as tx:
            await tx.execute(insert(User), users)
            await tx.execute(insert(UserRole), held)
    async with db.begin() as tx:
        await tx.execute(text("ANALYZE"))


def _user(number: int) -> dict[str, Any]:
    name = name_of(number)
    return {
        "id": uuid7(),
        "username": name,
        "username_key": name,
        "email": f"{name}@example.com",
        "email_key": f"{name}@example.com",
        "created_at": CREATED_AT + timedelta(seconds=number),
        "disabled_at": CREATED_AT if number % 50 == 0 else None,
    }


def name_of(number: int) -> str:
    """Returns the name of an account; names have another order than IDs, as in practice."""
    return f"{number * 7919 % 1_000_003:06d}-person"


async def find_users(db: Database, names: Sequence[str]) -> list[tuple[UUID, str]]:
    """Returns the IDs and names of these accounts."""
    async with db.read() as session:
        query = select(User.id, User.username).where(User.username_key.in_(names))
        return [(row.id, row.username) for row in await session.execute(query)]


async def enabled_users(db: Database, limit: int) -> list[tuple[UUID, str]]:
    """Returns the IDs and names of enabled accounts, oldest first."""
    query = select(User.id, User.username).where(User.disabled_at.is_(None))
    async with db.read() as session:
        rows = await session.execute(query.order_by(User.id).limit(limit))
        return [(row.id, row.username) for row in rows]


async def give_role(db: Database, user_id: UUID, name: str) -> None:
    """Gives a role to an account."""
    async with db.begin() as tx:
        role_id = await tx.scalar(select(Role.id).where(Role.name == name))
        await tx.execute(insert(UserRole), [{"user_id": user_id, "role_id": role_id}])


async def sign_in(auth: Auth, user_ids: Sequence[UUID]) -> list[str]:
    """Starts a session for each user and returns the access tokens."""
    now = auth.clock.now()
    async with auth.db.begin() as tx:
        sessions = [
            start_session(tx, auth.session_policy, user_id, Client(), now) for user_id in user_ids
        ]
    grants = [Grant(s.user_id, s.id, (), (), ends_at(s)) for s in sessions]
    issued = [await tokens.issue(auth.keys, auth.token_policy, grant, now) for grant in grants]
    return [token.text for token in issued]


async def cursor_at(db: Database, position: int) -> str:
    """Returns the cursor of the account at this position, counted from the oldest."""
    async with db.read() as session:
        query = select(User.id).order_by(User.id).offset(position).limit(1)
        return encode_cursor((await session.scalars(query)).one())
