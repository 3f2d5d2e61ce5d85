"""Token bucket: a rate limit with bursts."""


class TokenBucket:
    """A token bucket. It starts full; `take` removes tokens, and they return over time."""

    __slots__ = ("_burst", "_filled_at", "_per_second", "_tokens")

    def __init__(self, burst: float, per_second: float) -> None:
        self._burst = burst
        self._per_second = per_second
        self._tokens = burst
        self._filled_at: float | None = None

    def take(self, now: float, tokens: float = 1.0) -> bool:
        """Removes the tokens. Returns False and removes none if there are too few.

        `now` is the time of a monotonic clock, in seconds.
        """
        self._fill(now)
        if self._tokens < tokens:
            return False
        self._tokens -= tokens
        return True

    def _fill(self, now: float) -> None:
        passed = 0.0 if self._filled_at is None else max(now - self._filled_at, 0.0)
        self._tokens = min(self._burst, self._tokens + passed * self._per_second)
        self._filled_at = now
