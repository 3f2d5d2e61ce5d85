"""The people of the benchmarks: the same accounts for every contender, in each one's own tokens."""

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

# Every fiftieth is disabled, and a thousand may log in.
ACCOUNTS = 1_030
PEOPLE = 1_000
PASSWORD = "of course a good one"
BCRYPT_COST = 12


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a token; they all have the same password."""

    id: UUID
    username: str
    token: str


async def fill_postern(settings: Settings) -> Sequence[Person]:
    """Writes the accounts into a migrated database. The first may read them all."""
    auth = build_auth(settings, PermissionRegistry(), Clock())
    try:
        await auth.keys.start()
        hashed = bcrypt_sha256.using(rounds=BCRYPT_COST).hash(PASSWORD)
        await fill(auth.db, ACCOUNTS, password_hash=hashed)
        return await _people(auth)
    finally:
        await auth.stop()


async def _people(auth: Auth) -> Sequence[Person]:
    users = await enabled_users(auth.db, PEOPLE)
    await give_role(auth.db, users[0][0], "admin")
    tokens = await sign_in(auth, [user_id for user_id, _ in users])
    return [
        Person(user_id, username, token)
        for (user_id, username), token in zip(users, tokens, strict=True)
    ]


def read_settings(environment: Mapping[str, str]) -> Settings:
    """The settings that a server with this environment has."""
    return Settings(
        environment=Environment.PRODUCTION,
        secret_key=SecretStr(environment["POSTERN_SECRET_KEY"]),
        database_url=SecretStr(environment["POSTERN_DATABASE_URL"]),
        public_url=environment["POSTERN_PUBLIC_URL"],
    )


def copy_for_peers(postern: Path, peers: Path) -> None:
    """The same file for those who read it by themselves, with hashes that any bcrypt knows."""
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(BCRYPT_COST)).decode()
    with closing(sqlite3.connect(postern)) as source, closing(sqlite3.connect(peers)) as copy:
        source.backup(copy)
        with copy:
            copy.execute("UPDATE users SET password_hash = ?", (hashed,))
        # Postern's own mode; reading is quicker in it too.
        copy.execute("PRAGMA journal_mode = WAL")


def with_peers_tokens(people: Sequence[Person], secret: str) -> Sequence[Person]:
    """The same people with the tokens of tutorials: HS256, who and until when."""
    expires_at = datetime.now(UTC) + timedelta(hours=1)
    return [
        Person(
            person.id,
            person.username,
            jwt.encode({"sub": person.id.hex, "exp": expires_at}, secret, algorithm="HS256"),
        )
        for person in people
    ]
