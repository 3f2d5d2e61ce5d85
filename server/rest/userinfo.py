"""`GET /users/me`: the signed-in user, for clients that do not use GraphQL."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.security import OAuth2PasswordBearer
from starlette.responses import Response

from auth.errors import Denial
from auth.records import UserRecord
from auth.viewers import get_viewer
from auth.wiring import Auth
from graph.context import read_bearer_token
from graph.http.requests import client_of, read_headers
from graph.instants import format_instant
from server.rest.errors import denied, json_reply


def userinfo_router(auth: Auth) -> APIRouter:
    """Creates the router of `/users/me`."""
    router = APIRouter()
    # Only for the Authorize button in /docs. The header is parsed by `read_bearer_token`.
    documented = OAuth2PasswordBearer(tokenUrl="token", auto_error=False)

    @router.get("/users/me", summary="Get the signed-in user")
    async def me(
        request: Request, _documented: Annotated[str | None, Depends(documented)]
    ) -> Response:
        try:
            token = read_bearer_token(read_headers(request.scope).get(b"authorization"))
            viewer = await get_viewer(auth, client_of(request.scope), token)
        except Denial as denial:
            return denied(denial)
        return json_reply(_show(viewer.user), headers={"Cache-Control": "no-store"})

    return router


def _show(user: UserRecord) -> dict[str, Any]:
    return {
        "id": str(user.id),
        "username": user.username,
        "email": user.email,
        "email_verified": user.email_verified,
        "full_name": user.full_name,
        "disabled": user.disabled,
        "roles": [role.name for role in user.roles],
        "permissions": sorted(user.permissions),
        "created_at": format_instant(user.created_at),
    }
