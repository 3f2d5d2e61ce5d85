"""Embeds Postern in another FastAPI application, and finds the viewer in its routes."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import structlog
from fastapi import FastAPI, HTTPException, Request

from auth.errors import Denial
from auth.permissions import check_may
from auth.viewers import Viewer, get_viewer
from auth.wiring import Auth
from graph.context import read_bearer_token
from graph.guards import UnknownPermission
from graph.http.replies import RETRY_LATER
from graph.http.requests import client_of, read_headers
from models.database import DatabaseUnavailable
from server.rest.errors import challenge

log = structlog.get_logger("postern.http")


def mount_postern(app: FastAPI, postern: FastAPI) -> None:
    """Serves Postern inside `app`, and starts and stops both together.

    The routes of `app` come first. All other requests go to Postern, at its usual paths:
    `/graphql`, `/token`, `/.well-known/jwks.json` and so on.
    """
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(outer: FastAPI) -> AsyncIterator[Any]:
        async with postern.router.lifespan_context(postern), inner(outer) as state:
            yield state

    app.router.lifespan_context = lifespan
    app.router.default = postern
    app.state.postern = postern


def require_viewer(
    postern: FastAPI, permission: str | None = None
) -> Callable[[Request], Awaitable[Viewer]]:
    """Returns a FastAPI dependency for your own routes that returns the viewer.

    The dependency answers 401 without a viewer, 403 without the permission, and 503 if the database
    cannot be reached. Raises UnknownPermission.
    """
    auth: Auth = postern.state.auth
    if permission is not None and permission not in auth.permissions:
        raise UnknownPermission(
            f"Unknown permission {permission}. Register it with create_app(permissions={{...}})."
        )

    async def viewer(request: Request) -> Viewer:
        try:
            token = read_bearer_token(read_headers(request.scope).get(b"authorization"))
            viewer = await get_viewer(auth, client_of(request.scope), token)
            if permission is not None:
                check_may(viewer, permission)
        except Denial as denial:
            raise _http_error(denial) from None
        except DatabaseUnavailable as error:
            log.warning(error.event, cause=str(error))
            raise HTTPException(503, error.message, _RETRY) from None
        return viewer

    return viewer


_RETRY = {name.decode().title(): value.decode() for name, value in RETRY_LATER}


def _http_error(denial: Denial) -> HTTPException:
    status, header = challenge(denial)
    return HTTPException(status, str(denial), {"WWW-Authenticate": header})
