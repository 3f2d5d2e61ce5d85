"""What each worker process runs."""

import asyncio
import gc
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from server.app import create_app
from server.custom_app import load_app, postern_of
from server.environment import load_settings
from server.logs import configure_logs
from server.signals import sigterm_by_steps


def app() -> FastAPI:
    """The server after the environment, with its logs and its signals."""
    settings = load_settings()
    configure_logs(for_people=settings.in_development)
    _allow_many_connections()
    app = load_app(settings.app) if settings.app else create_app(settings)
    postern = postern_of(app)
    lifespan = app.router.lifespan_context

    def tell() -> None:
        postern.state.is_ending = True

    @asynccontextmanager
    async def lifespan_with_signals(given: FastAPI) -> AsyncIterator[Any]:
        with sigterm_by_steps(asyncio.get_running_loop(), tell, settings.shutdown_delay):
            async with lifespan(given) as state:
                _keep_what_is_there()
                yield state

    app.router.lifespan_context = lifespan_with_signals
    return app


def _keep_what_is_there() -> None:
    """What a start has made stays: looking for garbage among it is time that requests would wait.

    Requests leave next to no cycles behind, so that it is looked for less often too.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


def _allow_many_connections() -> None:
    """As many open files as the system lets us have: most begin with 1024, for `select`."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
