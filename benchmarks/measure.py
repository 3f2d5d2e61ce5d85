"""Medians of interleaved rounds, and tables of medians."""

import statistics
import time
from collections.abc import Awaitable, Callable, Mapping

Work = Callable[[], Awaitable[object]]


async def medians(
    contenders: Mapping[str, Work], *, rounds: int, warm_up: int = 3
) -> dict[str, float]:
    """Returns the median seconds of each. Rounds are interleaved, so drift affects all equally."""
    for work in contenders.values():
        for _ in range(warm_up):
            await work()
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, work in contenders.items():
            started = time.perf_counter()
            await work()
            taken[name].append(time.perf_counter() - started)
    return {name: statistics.median(times) for name, times in taken.items()}


def print_table(title: str, found: Mapping[str, float], *, base: str) -> None:
    """Prints milliseconds and the ratios to one of the rows."""
    print(f"\n{title}")
    width = max(map(len, found))
    for name, seconds in found.items():
        print(f"  {name:<{width}}  {seconds * 1000:9.2f} ms  {seconds / found[base]:6.2f}")
