"""The users of the benchmarks: the same accounts for each contender, with its own tokens."""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import bcrypt
import jwt
from passlib.hash import bcrypt_sha256
from pydantic import SecretStr

from auth.clock import Clock
from auth.permissions import PermissionRegistry
from auth.wiring import Auth
from benchmarks.accounts import enabled_users, fill, give_role, sign_in
from server.app import build_auth
from server.settings import Environment, Settings

# Every fiftieth account is disabled, so a thousand users may sign in.
ACCOUNTS = 1_030
USERS = 1_000
PASSWORD = "of course a good one"
BCRYPT_COST = 12


@dataclass(frozen=True, slots=True)
class BenchmarkUser:
    """A user with an access token. All have the same password."""

    id: UUID
    username: str
    token: str


async def fill_postern(settings: Settings) -> Sequence[BenchmarkUser]:
    """Inserts the accounts into a migrated database. The first user is an admin."""
    auth = build_auth(settings, PermissionRegistry(), Clock())
    try:
        await auth.keys.start()
        hashed = bcrypt_sha256.using(rounds=BCRYPT_COST).hash(PASSWORD)
        await fill(auth.db, ACCOUNTS, password_hash=hashed)
        return await _users(auth)
    finally:
        await auth.stop()


async def _users(auth: Auth) -> Sequence[BenchmarkUser]:
    rows = await enabled_users(auth.db, USERS)
    await give_role(auth.db, rows[0][0], "admin")
    tokens = await sign_in(auth, [user_id for user_id, _ in rows])
    return [
        BenchmarkUser(user_id, username, token)
        for (user_id, username), token in zip(rows, tokens, strict=True)
    ]


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Returns the settings of a server with this environment."""
    return Settings(
        environment=Environment.PRODUCTION,
        secret_key=SecretStr(environment["POSTERN_SECRET_KEY"]),
        database_url=SecretStr(environment["POSTERN_DATABASE_URL"]),
        public_url=environment["POSTERN_PUBLIC_URL"],
    )


def copy_for_peers(postern: Path, peers: Path) -> None:
    """Copies the database file for the peers, with plain bcrypt hashes."""
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(BCRYPT_COST)).decode()
    with closing(sqlite3.connect(postern)) as source, closing(sqlite3.connect(peers)) as copy:
        source.backup(copy)
        with copy:
            copy.execute("UPDATE users SET password_hash = ?", (hashed,))
        # Postern uses this mode too, and it makes reads faster.
        copy.execute("PRAGMA journal_mode = WAL")


def with_peer_tokens(users: Sequence[BenchmarkUser], secret: str) -> Sequence[BenchmarkUser]:
    """Returns the same users with tokens as in tutorials: HS256 with `sub` and `exp`."""
    expires_at = datetime.now(UTC) + timedelta(hours=1)
    return [
        BenchmarkUser(
            user.id,
            user.username,
            jwt.encode({"sub": user.id.hex, "exp": expires_at}, secret, algorithm="HS256"),
        )
        for user in users
    ]
