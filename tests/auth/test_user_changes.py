"""Waiting for a change of one user."""

from uuid import uuid4

from auth.user_changes import Watchers
from models.changes import NoChanges


class HearsWhenAsked(NoChanges):
    """Nobody tells of a change; who asks whether all is heard hears of it (as SQLite's does)."""

    def __init__(self) -> None:
        super().__init__()
        self.user_id = uuid4()

    def is_current(self) -> bool:
        for listener in self._listeners:
            listener.user_changed(self.user_id)
        return True


async def test_a_change_that_is_heard_at_the_end_of_a_wait_is_not_lost() -> None:
    changes = HearsWhenAsked()
    with Watchers(changes).watch(changes.user_id) as watch:
        assert await watch.wait(at_most_seconds=0)
