"""Runs a use case for a command, on behalf of the operator."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from auth.clock import Clock
from auth.errors import Refusal, Refusals
from auth.permissions import Console, PermissionRegistry
from auth.wiring import Auth
from server import doctor
from server.app import build_auth
from server.command_failure import CommandFailed
from server.development import with_development_secret
from server.environment import load_settings
from server.settings import Settings

T = TypeVar("T")


def read_settings() -> Settings:
    """Returns the settings of the environment. Raises ConfigurationError."""
    return with_development_secret(load_settings())


def run_as_console(
    work: Callable[[Auth, Console], Awaitable[T]], *, replaces_keys: bool = False
) -> T:
    """Checks the database and runs one use case on it.

    With `replaces_keys`, it runs even if the secret does not decrypt the signing keys.

    Raises CommandFailed for a refusal, ConfigurationError, DatabaseUnavailable.
    """
    settings = read_settings()
    doctor.check(settings)
    registry = PermissionRegistry()

    async def run() -> T:
        auth = build_auth(settings, registry, Clock(), patient=True)
        try:
            await doctor.check_database(auth.db)
            if not replaces_keys:
                await doctor.check_keys(auth.keys)
            await auth.passwords.start()
            return await work(auth, Console(registry))
        finally:
            await auth.stop()

    try:
        return asyncio.run(run())
    except Refusals as refused:
        raise CommandFailed(*(refusal.message for refusal in refused.refusals)) from None
    except Refusal as refusal:
        raise CommandFailed(refusal.message) from None
