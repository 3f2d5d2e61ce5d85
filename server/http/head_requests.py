"""HEAD requests, answered like GET but without the body (RFC 9110, 9.3.2)."""

from fastapi.exception_handlers import http_exception_handler
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Scope, Send


def as_get(scope: Scope, send: Send) -> tuple[Scope, Send]:
    """Returns a GET scope for a HEAD request, and a `send` that leaves out the body."""

    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return {**scope, "method": "GET"}, send_head


async def refuse_method(request: Request, error: Exception) -> Response:
    """Answers 405 and adds HEAD to `Allow` where it lists GET (RFC 9110, 10.2.1)."""
    assert isinstance(error, HTTPException)
    given = dict(error.headers or {})
    methods = {method.strip() for method in given.get("Allow", "").split(",")} - {""}
    if "GET" in methods:
        methods.add("HEAD")
    headers = {**given, "Allow": ", ".join(sorted(methods))}
    return await http_exception_handler(request, HTTPException(405, error.detail, headers))
