"""HEAD requests, answered like GET but without the body (RFC 9110, 9.3.2)."""

from fastapi.exception_handlers import http_exception_handler
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope


def as_get(scope: Scope) -> Scope:
    """Returns the scope with which a HEAD is answered as a GET. Probes and link checkers send it.

    The HTTP protocol leaves the body out.
    """
    return {**scope, "method": "GET"}


async def refuse_method(request: Request, error: Exception) -> Response:
    """Answers 405 and adds HEAD to `Allow` where it lists GET (RFC 9110, 10.2.1)."""
    assert isinstance(error, HTTPException)
    given = dict(error.headers or {})
    methods = {method.strip() for method in given.get("Allow", "").split(",")} - {""}
    if "GET" in methods:
        methods.add("HEAD")
    headers = {**given, "Allow": ", ".join(sorted(methods))}
    return await http_exception_handler(request, HTTPException(405, error.detail, headers))
