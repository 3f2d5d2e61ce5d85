"""The dependencies of all use cases. `server/app.py` creates them from the settings."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from auth.background import Background
from auth.clock import Clock
from auth.devices import DeviceProofs
from auth.passwords.hashing import Passwords
from auth.passwords.policy import PasswordPolicy
from auth.permissions import PermissionRegistry
from auth.sessions import SessionPolicy
from auth.throttling.throttle import Throttle
from auth.tokens.access_tokens import TokenPolicy
from auth.tokens.keys import KeyRing
from auth.tokens.link_tokens import LinkTokens
from auth.tokens.refresh_tokens import RefreshTokenCodec
from auth.tokens.token_cache import TokenCache
from auth.user_changes import Watchers
from auth.user_rows import UserRows
from auth.viewer_cache import ViewerCache
from models.database import Database


class RegistrationMode(StrEnum):
    """Who may create an account."""

    OPEN = "open"
    INVITATION = "invitation"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class RegistrationPolicy:
    """Who may create an account, and whether the email address must be verified first."""

    mode: RegistrationMode = RegistrationMode.OPEN
    # Whether an account is created only after its email address is verified.
    verifies_email: bool = False


@dataclass(frozen=True, slots=True)
class Auth:
    """The database, the clock, the keys and the policies that every use case works with."""

    db: Database
    clock: Clock
    keys: KeyRing
    token_cache: TokenCache
    viewer_cache: ViewerCache
    user_rows: UserRows
    watchers: Watchers
    passwords: Passwords
    throttle: Throttle
    background: Background
    refresh_tokens: RefreshTokenCodec
    devices: DeviceProofs
    links: LinkTokens
    permissions: PermissionRegistry
    token_policy: TokenPolicy
    session_policy: SessionPolicy
    password_policy: PasswordPolicy
    registration_policy: RegistrationPolicy
    # Whether an email transport is configured.
    sends_email: bool
    # For how long a key signs before it is rotated. None turns rotation by age off.
    key_max_age: timedelta | None
    # For how long audit events are kept. None keeps them forever.
    audit_retention: timedelta | None

    async def start(self) -> None:
        """Starts the hashing threads and the change feed."""
        await self.passwords.start()
        await self.db.change_feed.start()

    async def stop(self) -> None:
        """Stops the hashing threads, waits for background tasks, and closes the database."""
        self.passwords.stop()
        await self.background.finish()
        await self.db.close()
