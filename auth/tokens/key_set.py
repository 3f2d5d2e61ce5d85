"""The signing keys that are not revoked, and their states: next, current or retired.

The state of a key follows from the clock, so processes need not notify each other. A key is *next*
until its `active_from`, *current* until the `active_from` of another key, then *retired*. It
verifies tokens until the last token that it may have signed has expired.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from auth.tokens.key_material import Key
from models.database import DatabaseUnavailable

# The longest lifetime that the settings allow (RFC 9700, section 2.2).
MAX_ACCESS_TOKEN_LIFETIME = timedelta(hours=1)
LEEWAY = timedelta(seconds=5)

_NEVER = datetime.max.replace(tzinfo=UTC)


class SigningKeysUnavailable(DatabaseUnavailable):
    """No secret of this process decrypts a key that is needed."""

    event = "signing_keys.unavailable"
    message = "This server process does not have the current signing key. Try again shortly."

    def __init__(self) -> None:
        super().__init__("WrongSecretKey")


class KeyState(StrEnum):
    """The state of a signing key."""

    NEXT = "next"
    CURRENT = "current"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class KeySet:
    """Keys by ID. `locked` holds the start times of keys that this process cannot decrypt."""

    keys: Mapping[str, Key] = field(default_factory=dict)
    locked: Mapping[str, datetime] = field(default_factory=dict)

    def signing_key(self, now: datetime) -> Key:
        """Returns the key that signs now. Raises SigningKeysUnavailable if it is locked.

        An older key must not sign instead, since other processes would soon reject its tokens.
        """
        starts = self._starts()
        started = {kid: start for kid, start in starts.items() if start <= now}
        # If the clock was set back and no key has started yet, the oldest key signs.
        kid = max(started, key=started.__getitem__) if started else _first(starts)
        if kid is None or kid in self.locked:
            raise SigningKeysUnavailable
        return self.keys[kid]

    def verifying(self, now: datetime) -> list[Key]:
        """Returns the keys that verify now, newest first."""
        keys = sorted(self.keys.values(), key=_start_of, reverse=True)
        return [key for key in keys if self.verifies(key, now)]

    def states(self, now: datetime) -> list[tuple[Key, KeyState]]:
        """Returns the keys that verify now with their states. Raises SigningKeysUnavailable."""
        current = self.signing_key(now)
        return [(key, _state(key, current)) for key in self.verifying(now)]

    def newest(self) -> Key | None:
        """Returns the key with the latest start."""
        return max(self.keys.values(), key=_start_of, default=None)

    def verifies(self, key: Key, now: datetime) -> bool:
        """Returns whether tokens of the key may still be valid."""
        return now < self.end_of(key)

    def end_of(self, key: Key) -> datetime:
        """Returns when the last token of the key expires."""
        return self._end(key.active_from)

    def has_locked(self, now: datetime) -> bool:
        """Returns whether a locked key signs, will sign, or may have signed a valid token."""
        return any(now < self._end(start) for start in self.locked.values())

    def _end(self, start: datetime) -> datetime:
        successors = [other for other in self._starts().values() if other > start]
        if not successors:
            return _NEVER
        return min(successors) + MAX_ACCESS_TOKEN_LIFETIME + LEEWAY

    def _starts(self) -> dict[str, datetime]:
        return {key.kid: key.active_from for key in self.keys.values()} | dict(self.locked)


def _start_of(key: Key) -> datetime:
    return key.active_from


def _first(starts: Mapping[str, datetime]) -> str | None:
    return min(starts, key=starts.__getitem__, default=None)


def _state(key: Key, current: Key) -> KeyState:
    if key.kid == current.kid:
        return KeyState.CURRENT
    return KeyState.NEXT if key.active_from > current.active_from else KeyState.RETIRED
