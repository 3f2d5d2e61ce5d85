"""How much time the server spends on documents that it does not know, per client network."""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil

# Of one core.
SHARE = 0.1
# A site with an IPv6 /48 may spend as much at once as so many of its 65,536 networks. Elsewhere the
# network stands for the site too.
NETWORKS_PER_SITE = 4
MAX_NETWORKS = 10_000

Timer = Callable[[], float]


class PreparationBudget:
    """So many seconds of preparation at once, and a share of a core from then on.

    Parsing, validating and compiling a document blocks the event loop, and nothing but its size
    bounds how long. `timer` measures the time of this thread alone, so a busy machine does not
    raise the charge.
    """

    def __init__(
        self, seconds: float, *, timer: Timer = time.thread_time, clock: Timer = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._timer = timer
        self._clock = clock
        # What each network has spent, and when that was true.
        self._spent: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def retry_after(self, network: str) -> int:
        """After how many seconds the network may prepare the next document; 0 is now."""
        excess = self._spent_by(network) - self._seconds
        return max(ceil(excess / SHARE), 1) if excess >= 0 else 0

    @contextmanager
    def charged_to(self, network: str) -> Iterator[None]:
        """Charges the time of the block to the network."""
        began = self._timer()
        try:
            yield
        finally:
            self._charge(network, self._timer() - began)

    def _charge(self, network: str, seconds: float) -> None:
        self._spent[network] = self._spent_by(network) + seconds, self._clock()
        self._spent.move_to_end(network)
        if len(self._spent) > MAX_NETWORKS:
            self._spent.popitem(last=False)

    def _spent_by(self, network: str) -> float:
        spent, at = self._spent.get(network, (0.0, 0.0))
        return max(spent - max(self._clock() - at, 0.0) * SHARE, 0.0)
