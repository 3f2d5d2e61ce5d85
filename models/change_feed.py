"""The change feed: notifies listeners in every process about commits of any process."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol
from uuid import UUID

# The triggers that report changes. If one is missing, the feed must not be used.
TRIGGERS = frozenset(
    f"postern_{table}_{event}"
    for table, events in {
        "users": ("updated", "deleted"),
        "sessions": ("added", "updated", "deleted"),
        "user_roles": ("added", "updated", "deleted"),
        "roles": ("updated", "deleted"),
        "role_permissions": ("added", "updated", "deleted"),
        "signing_keys": ("added", "updated", "deleted"),
    }.items()
    for event in events
)


class Listener(Protocol):
    """Receives changes. Its methods must be fast and must not raise."""

    def user_changed(self, user_id: UUID) -> None:
        """A user, their sessions or their roles changed."""

    def everything_changed(self) -> None:
        """Anything may have changed: a role, a key, many users, or the feed was disconnected."""


class ChangeFeed(ABC):
    """Reports every commit to the tables of users, sessions, roles and signing keys.

    Rows of those tables may be cached while `is_current` returns True, until a listener is
    notified.
    """

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def add(self, listener: Listener) -> None:
        """Adds a listener."""
        self._listeners.append(listener)

    @abstractmethod
    async def start(self) -> None:
        """Starts the feed. Reconnects in the background if the database is unavailable."""

    @abstractmethod
    async def stop(self) -> None:
        """Stops the feed. `is_current` returns False from now on."""

    @abstractmethod
    def is_current(self) -> bool:
        """Returns whether listeners were notified of all earlier commits.

        On PostgreSQL a commit of another process may be missing for the milliseconds that a
        notification takes, or for a few seconds if the network drops it.
        """

    @contextmanager
    def polling(self) -> Iterator[None]:
        """Notifies listeners during the block, also if `is_current` is not called."""
        yield

    @abstractmethod
    async def catch_up(self) -> None:
        """Waits until listeners know of all earlier commits, or the feed is disconnected."""

    def _notify(self, payload: str) -> None:
        """Reports a change of the user with this ID, or of everything if it is not an ID."""
        try:
            user_id = UUID(payload)
        except ValueError:
            self._notify_of_everything()
            return
        for listener in self._listeners:
            listener.user_changed(user_id)

    def _notify_of_everything(self) -> None:
        for listener in self._listeners:
            listener.everything_changed()


class DisconnectedChangeFeed(ChangeFeed):
    """A feed without changes, for a database in memory. It is never current."""

    async def start(self) -> None:
        """Does nothing."""

    async def stop(self) -> None:
        """Does nothing."""

    def is_current(self) -> bool:
        """Returns False."""
        return False

    async def catch_up(self) -> None:
        """Does nothing."""
