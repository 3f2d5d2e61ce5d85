"""Postern inside another FastAPI application, and the viewer in that one's own routes."""

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
    """Serves Postern inside `app`, and starts and stops it with that one.

    The routes of `app` come first; whatever they do not match goes to Postern, at the addresses
    that it has anywhere: `/graphql`, `/token`, `/.well-known/jwks.json` and so on.
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
    """A dependency for routes of one's own: the signed-in person, as of this moment.

    Answers 401 without one, 403 without the permission, and 503 while the database is away. Raises
    UnknownPermission.
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
            raise _refusal(denial) from None
        except DatabaseUnavailable as error:
            log.warning(error.event, cause=str(error))
            raise HTTPException(503, error.message, _RETRY) from None
        return viewer

    return viewer


_RETRY = {name.decode().title(): value.decode() for name, value in RETRY_LATER}


def _refusal(denial: Denial) -> HTTPException:
    status, header = challenge(denial)
    return HTTPException(status, str(denial), {"WWW-Authenticate": header})
