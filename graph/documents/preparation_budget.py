"""Limits the processor time spent on preparing new documents, per client network."""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil

# The share of one core at which a network's budget refills.
SHARE = 0.1
# The budget of an IPv6 site (/48, 65,536 networks), as a multiple of the budget of one network. For
# IPv4, the site is the network.
NETWORKS_PER_SITE = 4
MAX_NETWORKS = 10_000

Timer = Callable[[], float]


class PreparationBudget:
    """A leaky bucket: a burst of `seconds` of preparation, then a share of a core.

    Parsing, validating and compiling a document blocks the event loop for a time that grows with
    its size. `timer` measures the time of this thread alone, so a busy machine does not raise the
    charge.
    """

    def __init__(
        self, seconds: float, *, timer: Timer = time.thread_time, clock: Timer = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._timer = timer
        self._clock = clock
        # By network: the seconds spent, and the time of the last charge.
        self._spent: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def retry_after(self, network: str) -> int:
        """Returns the seconds until the network may prepare a document; 0 if it may now."""
        excess = self.spent_by(network) - self._seconds
        return max(ceil(excess / SHARE), 1) if excess >= 0 else 0

    @contextmanager
    def charged_to(self, network: str) -> Iterator[None]:
        """Charges the time of the block to the network."""
        started_at = self._timer()
        try:
            yield
        finally:
            self.charge(network, self._timer() - started_at)

    def charge(self, network: str, seconds: float) -> None:
        """Charges the network with this time."""
        self._spent[network] = self.spent_by(network) + seconds, self._clock()
        self._spent.move_to_end(network)
        if len(self._spent) > MAX_NETWORKS:
            self._spent.popitem(last=False)

    def spent_by(self, network: str) -> float:
        """Returns the seconds that the network has spent and that have not refilled yet."""
        spent, at = self._spent.get(network, (0.0, 0.0))
        return max(spent - max(self._clock() - at, 0.0) * SHARE, 0.0)
