"""Access tokens whose signature this process has verified, so that it need not do so again.

Expiry is checked at every use, and the viewer is asked for as ever; only good tokens are kept.
"""

from datetime import datetime
from uuid import UUID

from auth.tokens.access_tokens import AccessToken
from auth.tokens.gradual_cache import GradualCache
from auth.tokens.keys import KeyRing
from models.changes import ChangeFeed

# As many as viewers: each of these has a token.
MAX_TOKENS = 20_000


class TokenCache:
    """Verified tokens by their text."""

    def __init__(self, changes: ChangeFeed, keys: KeyRing, *, max_tokens: int = MAX_TOKENS) -> None:
        self._changes = changes
        self._keys = keys
        self._kept = GradualCache[str, AccessToken](max_tokens)
        self._changes_heard = 0
        changes.add(self)

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, text: str, now: datetime) -> AccessToken | None:
        """What the token says, if it is known and in its time, and no key may have changed."""
        if not self._changes.is_current():
            return None
        token = self._kept.entries.get(text)
        if token is None:
            return None
        is_in_time = token.valid_from <= now < token.expires_at
        if not is_in_time or not self._keys.vouches_for(token.kid, now):
            self._kept.pop(text)
            return None
        return token

    def mark(self) -> int:
        """The moment before a verification; `keep` wants it back."""
        self._changes.is_current()
        return self._changes_heard

    def keep(self, text: str, token: AccessToken, mark: int) -> None:
        """Remembers a token that was verified since the mark, unless keys may have changed."""
        if not self._changes.is_current() or self._changes_heard != mark:
            return
        self._kept.put(text, token)

    def user_changed(self, user_id: UUID) -> None:
        """Concerns no signature."""

    def everything_changed(self) -> None:
        """Forgets all: a key may have been revoked."""
        self._changes_heard += 1
        self._kept.clear()
