"""What goes out: a result or the reason why there is none, as bytes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from graphql import ExecutionResult, GraphQLError
from starlette.types import Send

from graph.context import www_authenticate
from graph.encoding import NotJson, encode_json
from graph.errors import RETRY_AFTER_UNAVAILABLE_SECONDS, format_errors
from graph.statuses import Problem

HeaderFields = list[tuple[bytes, bytes]]

RETRY_LATER: HeaderFields = [(b"retry-after", str(RETRY_AFTER_UNAVAILABLE_SECONDS).encode())]


@dataclass(slots=True)
class Reply:
    """A reply whose body is whole."""

    status: int
    media_type: str
    body: bytes
    headers: HeaderFields

    async def send(self, send: Send) -> None:
        """Sends it."""
        fields = [
            *_fixed_headers(self.media_type),
            (b"content-length", b"%d" % len(self.body)),
            *self.headers,
        ]
        await send({"type": "http.response.start", "status": self.status, "headers": fields})
        await send({"type": "http.response.body", "body": self.body})


@cache
def _fixed_headers(media_type: str) -> HeaderFields:
    return [
        (b"content-type", f"{media_type}; charset=utf-8".encode()),
        # RFC 6749, 5.1: replies may hold tokens.
        (b"cache-control", b"no-store"),
    ]


def reply_result(result: ExecutionResult, media_type: str, request_id: str) -> Reply:
    """What an operation gave: its data, and the errors beside it."""
    try:
        if not result.errors:
            return Reply(200, media_type, encode_json({"data": result.data}), [])
        return _reply_errors(result, format_errors(result.errors, request_id), media_type)
    except NotJson as error:
        # A custom scalar returned what JSON cannot hold, such as half a surrogate pair or a row.
        fault = GraphQLError("The data is not JSON.", original_error=error)
        return reply_problem(Problem.FAULT, format_errors([fault], request_id), media_type)


def _reply_errors(
    result: ExecutionResult, errors: Sequence[Mapping[str, Any]], media_type: str
) -> Reply:
    if result.data is None and all("path" not in error for error in errors):
        # The variables did not fit: nothing ran, and so there is no `data` rather than null.
        return reply_problem(Problem.DOCUMENT, errors, media_type)
    body = encode_json({"data": result.data, "errors": errors})
    reply = Reply(200, media_type, body, [])
    codes = {error["extensions"]["code"]: error["extensions"] for error in errors}
    if "UNAUTHENTICATED" in codes:
        challenge = www_authenticate(codes["UNAUTHENTICATED"]["reason"])
        reply.headers.append((b"www-authenticate", challenge.encode()))
    if "SERVICE_UNAVAILABLE" in codes:
        reply.status = 503
        reply.headers += RETRY_LATER
    return reply


def reply_problem(
    problem: Problem,
    errors: Sequence[Mapping[str, Any]],
    media_type: str,
    headers: Sequence[tuple[bytes, bytes]] = (),
) -> Reply:
    """Why nothing ran."""
    body = encode_json({"errors": errors})
    return Reply(problem.status(media_type), media_type, body, list(headers))
