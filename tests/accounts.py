"""The accounts in every test database."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

from passlib.hash import bcrypt_sha256
from sqlalchemy import insert, select

from auth.permissions import Console, PermissionRegistry
from models.base import uuid7
from models.database import Database
from models.role import Role, UserRole
from models.user import User

CREATED_AT = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Account:
    """An account that can sign in."""

    username: str
    password: str
    role: str

    @property
    def email(self) -> str:
        return f"{self.username}@example.com"


ALICE = Account("alice", "correct horse battery", "user")
BOB = Account("bob", "staple of tuesdays", "user")
ADMIN = Account("admin", "an administrator's own", "admin")
SUPPORT = Account("sophie", "helping hands all day", "support")
AUDITOR = Account("audrey", "reading between lines", "auditor")

# The actor of commands that run on the server.
OPERATOR = Console(PermissionRegistry())

ALL_ACCOUNTS = (ALICE, BOB, ADMIN, SUPPORT, AUDITOR)


async def add_accounts(db: Database) -> None:
    """Creates ALL_ACCOUNTS in a database."""
    async with db.begin() as tx:
        roles = {role.name: role.id for role in await tx.scalars(select(Role))}
        for account in ALL_ACCOUNTS:
            user = User(
                id=uuid7(),
                username=account.username,
                username_key=account.username,
                email=account.email,
                email_key=account.email,
                password_hash=cheap_hash(account.password),
                created_at=CREATED_AT,
            )
            tx.add(user)
            await tx.flush()
            await tx.execute(
                insert(UserRole), [{"user_id": user.id, "role_id": roles[account.role]}]
            )


@cache
def cheap_hash(password: str) -> str:
    """Returns a bcrypt hash with the lowest cost, so that tests are fast."""
    return str(bcrypt_sha256.using(rounds=4).hash(password))
