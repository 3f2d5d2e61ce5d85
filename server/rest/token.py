"""`POST /token`: OAuth 2 grants, for clients that do not use GraphQL."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from auth.errors import Refusal
from auth.login import log_in
from auth.refresh import refresh
from auth.token_pairs import TokenPair
from auth.wiring import Auth
from graph.http.requests import client_of, read_headers
from graph.idempotency import HEADER, InvalidIdempotencyKey, parse_idempotency_key
from server.rest.errors import NO_STORE, json_reply, oauth_error, refused_grant
from server.rest.forms import MalformedForm, documented_form, read_form

_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "minLength": 16, "maxLength": 255},
    "description": "A random value for `refresh_token`. If you get no reply, send the request again"
    " with the same value.",
}
_FORM = documented_form(
    [],
    grant_type={"type": "string", "enum": ["password", "refresh_token"]},
    username={"type": "string"},
    password={"type": "string", "format": "password"},
    refresh_token={"type": "string"},
    scope={"type": "string"},
)
_OPENAPI = {**_FORM, "parameters": [_IDEMPOTENCY_KEY]}


def token_router(auth: Auth, *, password_grant: bool) -> APIRouter:
    """Creates the router of the token endpoint (RFC 6749, 3.2)."""
    router = APIRouter()

    @router.post("/token", openapi_extra=_OPENAPI, summary="Sign in or refresh the tokens")
    async def token(request: Request) -> Response:
        try:
            form = await read_form(request)
        except MalformedForm as error:
            return oauth_error("invalid_request", str(error), error.status)
        # RFC 6749 requires it, but Swagger and many tutorials leave it out.
        grant_type = form.get("grant_type", "password")
        if grant_type == "refresh_token":
            return await _refresh_grant(auth, request, form)
        if grant_type == "password" and password_grant:
            return await _password_grant(auth, request, form)
        return oauth_error(
            "unsupported_grant_type", "This server does not support this grant type."
        )

    return router


async def _password_grant(auth: Auth, request: Request, form: dict[str, str]) -> Response:
    if "username" not in form or "password" not in form:
        return oauth_error("invalid_request", "Send the parameters username and password.")
    client = client_of(request.scope)
    # The refresh token of an earlier session proves that the device has signed in before.
    proofs = [form["refresh_token"]] if "refresh_token" in form else []
    try:
        signed_in = await log_in(
            auth, client, username=form["username"], password=form["password"], proofs=proofs
        )
    except Refusal as refusal:
        return refused_grant(refusal)
    return _token_reply(signed_in)


async def _refresh_grant(auth: Auth, request: Request, form: dict[str, str]) -> Response:
    if "refresh_token" not in form:
        return oauth_error("invalid_request", "Send the parameter refresh_token.")
    try:
        key = parse_idempotency_key(read_headers(request.scope).get(HEADER))
        signed_in = await refresh(
            auth, client_of(request.scope), form["refresh_token"], idempotency_key=key
        )
    except InvalidIdempotencyKey as invalid:
        return oauth_error("invalid_request", str(invalid))
    except Refusal as refusal:
        return refused_grant(refusal)
    return _token_reply(signed_in)


def _token_reply(signed_in: TokenPair) -> Response:
    body = {
        "access_token": signed_in.access_token.text,
        "token_type": "Bearer",
        "expires_in": int(signed_in.access_token.expires_in.total_seconds()),
        "refresh_token": signed_in.refresh_token.text,
        "scope": " ".join(sorted(signed_in.user.permissions)),
    }
    return json_reply(body, headers=NO_STORE)
