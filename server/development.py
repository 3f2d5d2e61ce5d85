"""Development mode: creates a secret and two accounts."""

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
ALICE_PASSWORD = "secret123"  # noqa: S105 - public on purpose, and for development only


def with_development_secret(settings: Settings) -> Settings:
    """Returns the settings with the secret of the data folder, which it creates if needed.

    Raises ConfigurationError.
    """
    if settings.secrets or not settings.in_development:
        return settings
    try:
        secret = _read_or_create_secret(settings.data_dir / "secret_key")
    except (OSError, UnicodeDecodeError) as error:
        cause = type(error).__name__
        raise ConfigurationError(
            [f"POSTERN_DATA_DIR: the file secret_key cannot be read or written ({cause})."]
        ) from None
    if not secret:
        raise ConfigurationError(
            ["POSTERN_DATA_DIR: the file secret_key is empty. Restore the secret or delete it."]
        )
    return settings.model_copy(update={"secret_key": SecretStr(secret)})


async def migrate(db: Database) -> None:
    """Migrates the database if it is behind."""
    if await schema_state(db) is not SchemaState.BEHIND:
        return
    from models.migrate import upgrade  # noqa: PLC0415 - Alembic is large, and production needs none

    await upgrade(db)


async def add_development_accounts(auth: Auth) -> None:
    """Adds `alice` and `admin` to an empty database, and prints their passwords once.

    The password policy does not apply here: it would refuse `secret123`.
    """
    if await has_users(auth):
        return
    admin_password = secrets.token_urlsafe(12)
    await _add_account(auth, ALICE, ALICE_PASSWORD, role=DEFAULT_ROLE)
    await _add_account(auth, ADMIN, admin_password, role=ADMIN)


async def _add_account(auth: Auth, username: str, password: str, *, role: str) -> None:
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
        # Another worker was faster, and has printed its password.
        return
    # Not logged: the log must not contain passwords.
    sys.stdout.write(f"  account  {username} / {password}   (role {role})\n")
    sys.stdout.flush()


def _read_or_create_secret(path: Path) -> str:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        _create_secret(path)
    # A copied file can have other permissions.
    path.chmod(0o600)
    return path.read_text(encoding="utf-8").strip()


def _create_secret(path: Path) -> None:
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(DEVELOPMENT_SECRET_PREFIX + secrets.token_urlsafe(48))
    # Linked only when it is complete. If two processes start together, the second one finds the
    # file of the first.
    with suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()
