"""Serves the SDL of the schema to the explorer, at `/explorer/schema.graphql`.

Introspection does not include the directives of fields, which show the required permissions.
"""

import gzip
from functools import cache

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from auth.errors import Unauthenticated
from auth.viewers import get_viewer
from auth.wiring import Auth
from graph.context import read_bearer_token, www_authenticate
from graph.explorer.built_files import accepts_gzip
from graph.http.requests import client_of
from graph.schema import Schema

ADDRESS = "/explorer/schema.graphql"


def schema_route(auth: Auth, schema: Schema, *, needs_account: bool) -> Route:
    """Returns the route. With `needs_account`, the schema is returned to signed-in users only.

    This is used if the explorer is on and introspection is off.
    """

    @cache
    def compressed() -> bytes:
        return gzip.compress(schema.as_str().encode())

    async def sdl(request: Request) -> Response:
        if needs_account:
            await _check_account(auth, request)
        body, headers = compressed(), {"Cache-Control": "no-store", "Vary": "Accept-Encoding"}
        if accepts_gzip(request.headers.get("accept-encoding", "")):
            headers["Content-Encoding"] = "gzip"
        else:
            body = gzip.decompress(body)
        return Response(body, media_type="text/plain; charset=utf-8", headers=headers)

    return Route(ADDRESS, sdl, methods=["GET"])


async def _check_account(auth: Auth, request: Request) -> None:
    authorization = request.headers.get("authorization")
    try:
        token = read_bearer_token(authorization.encode("latin-1") if authorization else None)
        await get_viewer(auth, client_of(request.scope), token)
    except Unauthenticated as denial:
        challenge = {"WWW-Authenticate": www_authenticate(denial.reason)}
        raise HTTPException(401, "Sign in to read the schema.", challenge) from None
