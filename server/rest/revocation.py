"""`POST /revoke`: ends the session of a token (RFC 7009)."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from auth.logout import revoke_token
from auth.wiring import Auth
from graph.http.requests import client_of
from server.rest.errors import NO_STORE, json_reply, oauth_error
from server.rest.forms import MalformedForm, documented_form, read_form

_OPENAPI = documented_form(["token"], token={"type": "string"}, token_type_hint={"type": "string"})


def revocation_router(auth: Auth) -> APIRouter:
    """Creates the router of the revocation endpoint. Holding a token is enough to revoke it."""
    router = APIRouter()

    @router.post("/revoke", openapi_extra=_OPENAPI, summary="Revoke a token (RFC 7009)")
    async def revoke(request: Request) -> Response:
        try:
            form = await read_form(request)
        except MalformedForm as error:
            return oauth_error("invalid_request", str(error), error.status)
        if "token" not in form:
            return oauth_error("invalid_request", "Send the parameter token.")
        await revoke_token(auth, client_of(request.scope), form["token"])
        return json_reply({}, headers=NO_STORE)

    return router
