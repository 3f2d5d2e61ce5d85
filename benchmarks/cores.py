"""Which core runs what: the servers share one, and what loads them has another."""

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
    """Keeps this thread, and what it starts from now on, on one core; Linux only."""
    if _PINS:
        os.sched_setaffinity(0, {core})


@contextmanager
def on_the_servers_core() -> Iterator[None]:
    """What is started within the block runs where the servers run."""
    pin(SERVERS)
    try:
        yield
    finally:
        if _PINS:
            os.sched_setaffinity(0, _ALL)


def seconds_of(pid: int) -> float:
    """How long a process, with all its threads, was on a core; not a number if not on Linux."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except FileNotFoundError:
        return math.nan
    # proc(5): the name may hold anything, and ends with the last bracket.
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def warning() -> str:
    """What makes the figures worth less on this machine; empty where nothing does."""
    if not _PINS:
        return (
            "This system cannot pin processes to cores: servers and load get in each other's way."
        )
    if len(_ALL) == 1:
        return "There is one core: servers and load share it."
    return ""
