"""Cache of verified access tokens, so that their signatures are not verified again.

The expiry is checked at every use. The cache holds only valid tokens.
"""

from datetime import datetime
from uuid import UUID

from auth.tokens.access_tokens import AccessToken
from auth.tokens.keys import KeyRing
from auth.tokens.random_eviction_cache import RandomEvictionCache
from models.change_feed import ChangeFeed

# As many as the viewer cache holds, since each viewer has a token.
MAX_TOKENS = 20_000


class TokenCache:
    """Caches verified tokens by their text."""

    def __init__(self, changes: ChangeFeed, keys: KeyRing, *, max_tokens: int = MAX_TOKENS) -> None:
        self._changes = changes
        self._keys = keys
        self._tokens = RandomEvictionCache[str, AccessToken](max_tokens)
        self._version = 0
        changes.add(self)

    def __len__(self) -> int:
        return len(self._tokens)

    def get(self, text: str, now: datetime) -> AccessToken | None:
        """Returns a token if it is cached and valid, and the change feed is connected."""
        if not self._changes.is_current():
            return None
        token = self._tokens.entries.get(text)
        if token is None:
            return None
        is_valid = token.valid_from <= now < token.expires_at
        if not is_valid or not self._keys.still_verifies(token.kid, now):
            self._tokens.pop(text)
            return None
        return token

    def version(self) -> int:
        """Returns the version of the keys before a verification, for `put`."""
        self._changes.is_current()
        return self._version

    def put(self, text: str, token: AccessToken, version: int) -> None:
        """Caches a token, unless keys may have changed since the version."""
        if not self._changes.is_current() or self._version != version:
            return
        self._tokens.put(text, token)

    def user_changed(self, user_id: UUID) -> None:
        """Does nothing: signatures do not depend on users."""

    def everything_changed(self) -> None:
        """Clears the cache, since a key may have been revoked."""
        self._version += 1
        self._tokens.clear()
