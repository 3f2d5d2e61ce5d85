"""The live keys at one moment: which one signs, which ones verify, and since when.

A key's state follows from the clock alone, so processes need not notify each other. A key is *next*
until its `active_from`, then *current* until that of another key, then *retired*. It verifies until
the last token that it may have signed has expired.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from auth.tokens.key_material import Key
from models.database import DatabaseUnavailable

# RFC 9700, 2.2: access tokens are short-lived; the settings allow no longer lifetime.
MAX_ACCESS_TOKEN_LIFETIME = timedelta(hours=1)
LEEWAY = timedelta(seconds=5)

_NEVER = datetime.max.replace(tzinfo=UTC)


class SigningKeysUnavailable(DatabaseUnavailable):
    """A key is needed that no secret of this process decrypts. Nothing was decided."""

    event = "signing_keys.unavailable"
    message = "This server process does not have the current signing key. Try again shortly."

    def __init__(self) -> None:
        super().__init__("WrongSecretKey")


class KeyState(StrEnum):
    """Where a key is in its life."""

    NEXT = "next"
    CURRENT = "current"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class KeySet:
    """Keys by their IDs. Of a locked key, which this process cannot decrypt, only its begin."""

    keys: Mapping[str, Key] = field(default_factory=dict)
    locked: Mapping[str, datetime] = field(default_factory=dict)

    def signing_key(self, now: datetime) -> Key:
        """Returns the key that signs now. Raises SigningKeysUnavailable if that one is locked.

        An older key must not sign in its place: other processes would soon refuse the token.
        """
        begins = self._begins()
        begun = {kid: begin for kid, begin in begins.items() if begin <= now}
        # With a clock that was set back no key has begun yet: then the oldest signs.
        kid = max(begun, key=begun.__getitem__) if begun else _first(begins)
        if kid is None or kid in self.locked:
            raise SigningKeysUnavailable
        return self.keys[kid]

    def verifying(self, now: datetime) -> list[Key]:
        """Returns the keys that verify now, newest first."""
        keys = sorted(self.keys.values(), key=_begin_of, reverse=True)
        return [key for key in keys if self.verifies(key, now)]

    def states(self, now: datetime) -> list[tuple[Key, KeyState]]:
        """Returns the keys that verify now with their states. Raises SigningKeysUnavailable."""
        current = self.signing_key(now)
        return [(key, _state(key, current)) for key in self.verifying(now)]

    def newest(self) -> Key | None:
        """Returns the key that signs last of all."""
        return max(self.keys.values(), key=_begin_of, default=None)

    def verifies(self, key: Key, now: datetime) -> bool:
        """Whether tokens of the key may still be valid."""
        return now < self.end_of(key)

    def end_of(self, key: Key) -> datetime:
        """Returns when the last token of the key has expired."""
        return self._end(key.active_from)

    def has_locked(self, now: datetime) -> bool:
        """Whether a key that signs, will sign, or may have signed a valid token is locked."""
        return any(now < self._end(begin) for begin in self.locked.values())

    def _end(self, begin: datetime) -> datetime:
        successors = [other for other in self._begins().values() if other > begin]
        if not successors:
            return _NEVER
        return min(successors) + MAX_ACCESS_TOKEN_LIFETIME + LEEWAY

    def _begins(self) -> dict[str, datetime]:
        return {key.kid: key.active_from for key in self.keys.values()} | dict(self.locked)


def _begin_of(key: Key) -> datetime:
    return key.active_from


def _first(begins: Mapping[str, datetime]) -> str | None:
    return min(begins, key=begins.__getitem__, default=None)


def _state(key: Key, current: Key) -> KeyState:
    if key.kid == current.kid:
        return KeyState.CURRENT
    return KeyState.NEXT if key.active_from > current.active_from else KeyState.RETIRED
