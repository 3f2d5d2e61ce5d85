"""`POST /introspect`: whether a token is active, and its claims (RFC 7662)."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from auth.errors import Denial
from auth.token_introspection import ActiveToken, introspect
from auth.viewers import get_viewer
from auth.wiring import Auth
from graph.context import read_bearer_token
from graph.http.requests import client_of, read_headers
from server.rest.errors import NO_STORE, denied, json_reply, oauth_error
from server.rest.forms import MalformedForm, documented_form, read_form

_OPENAPI = documented_form(["token"], token={"type": "string"})


def introspection_router(auth: Auth) -> APIRouter:
    """Creates the router of the introspection endpoint. The caller needs `tokens:introspect`."""
    router = APIRouter()

    @router.post("/introspect", openapi_extra=_OPENAPI, summary="Introspect a token (RFC 7662)")
    async def introspection(request: Request) -> Response:
        try:
            bearer = read_bearer_token(read_headers(request.scope).get(b"authorization"))
            viewer = await get_viewer(auth, client_of(request.scope), bearer)
            form = await read_form(request)
            live = await introspect(auth, viewer, form.get("token", ""))
        except Denial as denial:
            return denied(denial)
        except MalformedForm as error:
            return oauth_error("invalid_request", str(error), error.status)
        return json_reply(_show(auth, live), headers=NO_STORE)

    return router


def _show(auth: Auth, token: ActiveToken | None) -> dict[str, Any]:
    # RFC 7662, 2.2: the reply for an inactive token must not contain more.
    if token is None:
        return {"active": False}
    return {
        "active": True,
        "token_type": "Bearer" if token.kind == "access_token" else token.kind,
        "sub": str(token.user_id),
        "username": token.username,
        "sid": str(token.session_id),
        "scope": " ".join(token.scope),
        "exp": int(token.expires_at.timestamp()),
        "iss": auth.token_policy.issuer,
        "aud": auth.token_policy.audience,
    }
