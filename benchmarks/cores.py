"""Which core runs what: the servers share one, and what loads them has another."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

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


def warning() -> str:
    """What makes the figures worth less on this machine; empty where nothing does."""
    if not _PINS:
        return (
            "This system cannot pin processes to cores: servers and load get in each other's way."
        )
    if len(_ALL) == 1:
        return "There is one core: servers and load share it."
    return ""
