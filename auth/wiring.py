"""What the rules need, in one place; `server/app.py` fills it from the settings."""

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
from auth.user_records import UserRows
from auth.viewer_cache import ViewerCache
from models.database import Database


class RegistrationMode(StrEnum):
    """Who may create an account."""

    OPEN = "open"
    INVITATION = "invitation"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class RegistrationPolicy:
    """Whether people may create accounts themselves, and when these begin."""

    mode: RegistrationMode = RegistrationMode.OPEN
    # Whether an account begins only when its address is proved.
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
    # Whether anything carries mail away from here.
    sends_mail: bool
    # How long a key signs before another takes over; None is for ever.
    key_max_age: timedelta | None
    # How long the audit trail is kept; None is for ever.
    audit_retention: timedelta | None

    async def start(self) -> None:
        """Begins to hash, and to hear of changes."""
        await self.passwords.start()
        await self.db.changes.start()

    async def stop(self) -> None:
        """Ends the hashing threads and the work in the background, and closes the database."""
        self.passwords.stop()
        await self.background.finish()
        await self.db.close()
