"""What a developer's machine gets for nothing: a secret, and two accounts to try things with."""

import os
import secrets
import sys
from contextlib import suppress
from pathlib import Path

from pydantic import SecretStr

from auth.audit import Action
from auth.errors import Refusals
from auth.permissions import DEFAULT_ROLE, Console
from auth.roles import ADMIN, find_roles_by_name
from auth.user_creation import NewUser, add_user
from auth.users import has_users
from auth.wiring import Auth
from models.database import Database
from models.schema_state import SchemaState, schema_state
from server.doctor import DEVELOPMENT_SECRET_PREFIX
from server.settings import ConfigurationError, Settings

ALICE = "alice"
ALICE_PASSWORD = "secret123"  # noqa: S105 - public by intent, and for development only


def with_development_secret(settings: Settings) -> Settings:
    """The settings with the secret of the data folder; it is made at the first start.

    Raises ConfigurationError.
    """
    if settings.secrets or not settings.in_development:
        return settings
    try:
        secret = _read_or_make_secret(settings.data_dir / "secret_key")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            [f"POSTERN_DATA_DIR: its file secret_key cannot be kept there ({type(error).__name__})"]
        ) from None
    if not secret:
        raise ConfigurationError(
            ["POSTERN_DATA_DIR: its file secret_key is empty: put the secret back, or delete it"]
        )
    return settings.model_copy(update={"secret_key": SecretStr(secret)})


async def migrate(db: Database) -> None:
    """Brings the tables to the state that this code needs."""
    if await schema_state(db) is not SchemaState.BEHIND:
        return
    from models.migrate import upgrade  # noqa: PLC0415 - Alembic is large, and production needs none

    await upgrade(db)


async def add_development_accounts(auth: Auth) -> None:
    """Adds `alice` and `admin` to an empty database, and prints their passwords once.

    They are hashed as they are: the policy for passwords would refuse `secret123`, rightly.
    """
    if await has_users(auth):
        return
    admin_password = secrets.token_urlsafe(12)
    await _add(auth, ALICE, ALICE_PASSWORD, role=DEFAULT_ROLE)
    await _add(auth, ADMIN, admin_password, role=ADMIN)


async def _add(auth: Auth, username: str, password: str, *, role: str) -> None:
    new = NewUser(
        username=username,
        email=f"{username}@example.com",
        full_name=username.capitalize(),
        password_hash=await auth.passwords.hash(password),
    )
    roles = await find_roles_by_name(auth, [role])
    try:
        ids = [found.id for found in roles]
        await add_user(auth, new, ids, Action.USER_CREATED, Console(auth.permissions))
    except Refusals:
        # Another worker of the same first start was faster, and has told the password.
        return
    tell(f"  account  {username} / {password}   (role {role})")


def tell(line: str) -> None:
    """Says something to the person at the terminal; not a log line, which must hold no password."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _read_or_make_secret(path: Path) -> str:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        _make_secret(path)
    # A copy, or an unpacked archive, may have opened it to others.
    path.chmod(0o600)
    return path.read_text(encoding="utf-8").strip()


def _make_secret(path: Path) -> None:
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(DEVELOPMENT_SECRET_PREFIX + secrets.token_urlsafe(48))
    # Linked when it is whole, and only once: of two processes that start together the slower one
    # takes the other's.
    with suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()
