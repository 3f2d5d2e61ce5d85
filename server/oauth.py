"""`POST /token`: the OAuth 2 password grant, for clients that know nothing of GraphQL."""

from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request
from starlette.responses import Response

from auth.errors import Refusal
from auth.login import log_in
from auth.wiring import Auth
from graph.endpoint import client_of
from graph.requests import RequestRefused, read_body
from server.replies import NO_STORE, json_reply, oauth_error, refused_grant

_FORM = "application/x-www-form-urlencoded"

_OPENAPI: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            _FORM: {
                "schema": {
                    "type": "object",
                    "required": ["username", "password"],
                    "properties": {
                        "grant_type": {"type": "string", "enum": ["password"]},
                        "username": {"type": "string"},
                        "password": {"type": "string", "format": "password"},
                        "scope": {"type": "string"},
                    },
                }
            }
        },
    }
}


class _MalformedForm(Exception):
    """The form cannot be read; the message says why."""


def token_router(auth: Auth, *, password_grant: bool) -> APIRouter:
    """The token endpoint (RFC 6749, 3.2)."""
    router = APIRouter()

    @router.post("/token", openapi_extra=_OPENAPI, summary="Log in with a form (RFC 6749, 4.3)")
    async def token(request: Request) -> Response:
        try:
            body = await read_body(request.headers, request.receive)
            form = _read_form(request.headers.get("content-type", ""), body)
        except RequestRefused as refused:
            return oauth_error("invalid_request", refused.message, refused.status)
        except _MalformedForm as error:
            return oauth_error("invalid_request", str(error))
        # Optional against RFC 6749: Swagger and many tutorials leave it out.
        if form.get("grant_type", "password") != "password" or not password_grant:
            return oauth_error("unsupported_grant_type", "This grant is not supported here.")
        return await _password_grant(auth, request, form)

    return router


async def _password_grant(auth: Auth, request: Request, form: dict[str, str]) -> Response:
    if "username" not in form or "password" not in form:
        return oauth_error("invalid_request", "Send username and password.")
    try:
        signed_in = await log_in(
            auth,
            client_of(request.scope, request.headers),
            username=form["username"],
            password=form["password"],
        )
    except Refusal as refusal:
        return refused_grant(refusal)
    body = {
        "access_token": signed_in.access_token.text,
        "token_type": "Bearer",
        "expires_in": int(signed_in.access_token.expires_in.total_seconds()),
        "scope": " ".join(sorted(signed_in.user.permissions)),
    }
    return json_reply(body, headers=NO_STORE)


def _read_form(content_type: str, body: bytes) -> dict[str, str]:
    if content_type.split(";", maxsplit=1)[0].strip().lower() != _FORM:
        raise _MalformedForm(f"Send the request as Content-Type: {_FORM}.")
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=16
        )
    except ValueError:
        raise _MalformedForm("The form cannot be read.") from None
    form = dict(pairs)
    # RFC 6749, 3.2: parameters must not be included more than once.
    if len(form) != len(pairs):
        raise _MalformedForm("A parameter is given twice.")
    return form
