"""Waiting for a change of one user."""

from uuid import uuid4

from auth.user_changes import Watchers
from models.change_feed import DisconnectedChangeFeed


class ReportsOnRequest(DisconnectedChangeFeed):
    """A change feed that delivers a change in `is_current`, like that of SQLite."""

    def __init__(self) -> None:
        super().__init__()
        self.user_id = uuid4()

    def is_current(self) -> bool:
        for listener in self._listeners:
            listener.user_changed(self.user_id)
        return True


async def test_change_received_at_the_end_of_a_wait_is_not_lost() -> None:
    changes = ReportsOnRequest()
    with Watchers(changes).watch(changes.user_id) as watch:
        assert await watch.wait(at_most_seconds=0)
