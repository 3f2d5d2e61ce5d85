"""CPU pinning: the servers share one core, the load generator has another."""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PINS = hasattr(os, "sched_setaffinity")
_ALL = sorted(os.sched_getaffinity(0)) if _PINS else [0]
SERVERS = _ALL[0]
LOAD = _ALL[-1]


def pin(core: int) -> None:
    """Pins this thread and what it starts later to one core; Linux only."""
    if _PINS:
        os.sched_setaffinity(0, {core})


@contextmanager
def on_the_servers_core() -> Iterator[None]:
    """Runs what is started within the block on the core of the servers."""
    pin(SERVERS)
    try:
        yield
    finally:
        if _PINS:
            os.sched_setaffinity(0, _ALL)


def seconds_of(pid: int) -> float:
    """Returns the CPU seconds of a process with all its threads; NaN if not on Linux."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except FileNotFoundError:
        return math.nan
    # proc(5): the name may contain any character and ends with the last parenthesis.
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def warning() -> str:
    """Returns why figures of this machine are less reliable, or an empty text."""
    if not _PINS:
        return "This system cannot pin processes to cores. Servers and load disturb each other."
    if len(_ALL) == 1:
        return "This machine has one core. Servers and load share it."
    return ""
