"""Replies: the result of an operation, or the reason why it did not run, as bytes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from graphql import ExecutionResult, GraphQLError
from starlette.types import Send

from graph.compiled.strawberry_executor import NotStarted
from graph.context import www_authenticate
from graph.encoding import NotJson, encode_json
from graph.errors.graphql_errors import RETRY_AFTER_UNAVAILABLE_SECONDS, format_errors
from graph.statuses import Problem

HeaderFields = list[tuple[bytes, bytes]]

RETRY_LATER: HeaderFields = [(b"retry-after", str(RETRY_AFTER_UNAVAILABLE_SECONDS).encode())]


@dataclass(slots=True)
class Reply:
    """A complete reply."""

    status: int
    media_type: str
    body: bytes
    headers: HeaderFields

    async def send(self, send: Send) -> None:
        """Sends the reply."""
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
        # RFC 6749, 5.1: replies may contain tokens.
        (b"cache-control", b"no-store"),
    ]


def reply_result(result: ExecutionResult, media_type: str, request_id: str) -> Reply:
    """Returns the reply with the data and the errors of an operation."""
    try:
        if not result.errors and not result.extensions:
            return Reply(200, media_type, encode_json({"data": result.data}), [])
        errors = format_errors(result.errors or [], request_id)
        if is_request_error(result):
            return _reply_request_error(errors, media_type)
        return _reply_executed(result, errors, media_type)
    except NotJson as error:
        # A custom scalar returned a value without a form in JSON, such as half a surrogate pair.
        internal = GraphQLError("The data is not JSON.", original_error=error)
        errors = format_errors([internal], request_id)
        return reply_problem(Problem.INTERNAL_ERROR, errors, media_type)


def _reply_request_error(errors: Sequence[Mapping[str, Any]], media_type: str) -> Reply:
    """Returns the reply for an operation that did not run; it has no `data`.

    The variables are invalid, or an extension of a custom schema refused or failed.
    """
    codes = {error["extensions"]["code"]: error["extensions"] for error in errors}
    failures = (Problem.UNAVAILABLE, Problem.INTERNAL_ERROR)
    problem = next((p for p in failures if p.code in codes), Problem.DOCUMENT)
    return reply_problem(problem, errors, media_type, _headers_for(codes))


def _reply_executed(
    result: ExecutionResult, errors: Sequence[Mapping[str, Any]], media_type: str
) -> Reply:
    codes = {error["extensions"]["code"]: error["extensions"] for error in errors}
    status = 503 if "SERVICE_UNAVAILABLE" in codes else 200
    body = encode_json(result_body(result, errors))
    return Reply(status, media_type, body, _headers_for(codes))


def result_body(result: ExecutionResult, errors: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the body of the reply with a result."""
    body: dict[str, Any] = {"data": result.data}
    if errors:
        body["errors"] = errors
    if result.extensions:
        body["extensions"] = result.extensions
    return body


def _headers_for(codes: Mapping[str, Mapping[str, Any]]) -> HeaderFields:
    headers: HeaderFields = []
    if "UNAUTHENTICATED" in codes and "reason" in codes["UNAUTHENTICATED"]:
        challenge = www_authenticate(codes["UNAUTHENTICATED"]["reason"])
        headers.append((b"www-authenticate", challenge.encode()))
    if "SERVICE_UNAVAILABLE" in codes:
        headers += RETRY_LATER
    return headers


def is_request_error(result: ExecutionResult) -> bool:
    """Returns whether the operation did not run, e.g. because of invalid variables.

    The reply then has no `data`, instead of null.
    """
    if result.data is not None or not result.errors:
        return False
    return isinstance(result, NotStarted) or all(error.path is None for error in result.errors)


def reply_problem(
    problem: Problem,
    errors: Sequence[Mapping[str, Any]],
    media_type: str,
    headers: Sequence[tuple[bytes, bytes]] = (),
) -> Reply:
    """Returns the reply to a request that fails as a whole."""
    body = encode_json({"errors": errors})
    return Reply(problem.status(media_type), media_type, body, list(headers))
