"""Whose rows have changed: what anybody commits, every process hears."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol
from uuid import UUID

# The triggers that tell; where one is missing, nothing that is heard can be relied on.
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
    """Wants to know what changed. It must be quick, and must not fail."""

    def user_changed(self, user_id: UUID) -> None:
        """The user, a session of theirs, or who has which role."""

    def everything_changed(self) -> None:
        """Anything: a role, a key, too much to tell, or nobody listened for a while."""


class ChangeFeed(ABC):
    """Hears of every commit to the tables of accounts, sessions, roles and keys.

    What is read from those tables may be kept for as long as `is_current`, and until a listener is
    told otherwise.
    """

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def add(self, listener: Listener) -> None:
        """Tells it from now on."""
        self._listeners.append(listener)

    @abstractmethod
    async def start(self) -> None:
        """Begins to listen. A database that is away is waited for in the background."""

    @abstractmethod
    async def stop(self) -> None:
        """Stops listening: from now on nothing is current."""

    @abstractmethod
    def is_current(self) -> bool:
        """Whether listeners know of all that was committed before this moment.

        On PostgreSQL, of all that this process committed; and of what others did, but for the
        milliseconds that a notification is on its way, and a few seconds if the network drops it.
        """

    @contextmanager
    def awaited(self) -> Iterator[None]:
        """While the block runs, listeners are told without anybody asking `is_current`."""
        yield

    @abstractmethod
    async def catch_up(self) -> None:
        """Returns when listeners know of all that was committed before the call, or none is."""

    def _tell(self, whose: str) -> None:
        """Tells of the user with this id, or of everything where it is none."""
        try:
            user_id = UUID(whose)
        except ValueError:
            self._tell_everything()
            return
        for listener in self._listeners:
            listener.user_changed(user_id)

    def _tell_everything(self) -> None:
        for listener in self._listeners:
            listener.everything_changed()


class NoChanges(ChangeFeed):
    """Hears nothing, for a database in memory: nothing is ever current."""

    async def start(self) -> None:
        """Does nothing."""

    async def stop(self) -> None:
        """Does nothing."""

    def is_current(self) -> bool:
        """Never."""
        return False

    async def catch_up(self) -> None:
        """Does nothing."""
