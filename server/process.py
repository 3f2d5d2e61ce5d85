"""The application of a worker process, with its logs, signals and garbage collection."""

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
from server.signals import graceful_sigterm


def app() -> FastAPI:
    """Returns the application with the settings of the environment. uvicorn calls this."""
    settings = load_settings()
    configure_logs(readable=settings.in_development)
    _allow_many_connections()
    app = load_app(settings.app) if settings.app else create_app(settings)
    postern = postern_of(app)
    lifespan = app.router.lifespan_context

    def mark_as_stopping() -> None:
        postern.state.is_ending = True

    @asynccontextmanager
    async def lifespan_with_signals(given: FastAPI) -> AsyncIterator[Any]:
        loop, delay = asyncio.get_running_loop(), settings.shutdown_delay
        with graceful_sigterm(loop, mark_as_stopping, delay):
            async with lifespan(given) as state:
                _tune_garbage_collection()
                yield state

    app.router.lifespan_context = lifespan_with_signals
    return app


def _tune_garbage_collection() -> None:
    """Excludes the objects of the startup from garbage collection, which delays requests.

    Collection also runs less often, because requests create few reference cycles.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


def _allow_many_connections() -> None:
    """Raises the limit of open files to the maximum. Many systems start with 1024."""
    _, maximum = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (maximum, maximum))
