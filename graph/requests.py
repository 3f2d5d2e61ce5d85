"""What a client sent: media types, body and parameters, read strictly and within bounds."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from auth.clients import Client

MAX_BODY_BYTES = 100_000

RESPONSE_JSON = "application/graphql-response+json"
JSON = "application/json"


class RequestRefused(Exception):
    """The request cannot be run; says the status, a code and a sentence on what to do."""

    def __init__(
        self, status: int, code: str, message: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """What to run."""

    query: str
    variables: dict[str, Any] | None
    operation_name: str | None


def accepted_media_type(headers: Headers) -> str | None:
    """The media type of the reply: the newer one where it is named; None if neither will do."""
    ranges = [
        part.split(";")[0].strip().lower()
        for accept in headers.getlist("accept")
        for part in accept.split(",")
    ]
    if RESPONSE_JSON in ranges:
        return RESPONSE_JSON
    if not any(ranges) or {JSON, "application/*", "*/*"} & set(ranges):
        return JSON
    return None


def client_of(scope: Scope) -> Client:
    """Where a request or a socket comes from: the peer of the connection."""
    peer = scope.get("client")
    agent = Headers(scope=scope).get("user-agent")
    return Client(address=peer[0][:64] if peer else None, user_agent=agent)


async def read_body(headers: Headers, receive: Receive) -> bytes:
    """The body, up to `MAX_BODY_BYTES`. Raises RequestRefused, ClientDisconnect."""
    declared = headers.get("content-length", "")
    if declared.isdecimal() and len(declared) < 20 and int(declared) > MAX_BODY_BYTES:
        raise _too_large()
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise _too_large()
        if not message.get("more_body"):
            return bytes(body)


def read_post(headers: Headers, body: bytes) -> GraphQLRequest:
    """Reads a POST. Raises RequestRefused."""
    # Exactly JSON: what an HTML form of another site can send without asking is not (CSRF).
    if headers.get("content-type", "").split(";")[0].strip().lower() != JSON:
        raise RequestRefused(
            415, "UNSUPPORTED_MEDIA_TYPE", "Send the request as Content-Type: application/json."
        )
    return _parse(_parse_json(body, "The body"))


def read_query_string(query_string: bytes) -> GraphQLRequest:
    """Reads the parameters of a GET. Raises RequestRefused."""
    try:
        pairs = parse_qsl(
            query_string.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=16,
        )
    except ValueError:
        raise _malformed("The query string cannot be read.") from None
    parameters: dict[str, Any] = dict(pairs)
    if len(parameters) != len(pairs):
        raise _malformed("A parameter is given twice.")
    for name in ("variables", "extensions"):
        if parameters.get(name):
            parameters[name] = _parse_json(parameters[name].encode(), f"`{name}`")
        else:
            parameters.pop(name, None)
    return _parse(parameters)


def _parse_json(text: bytes, what: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise _malformed(f"{what} is not JSON.") from None


def _parse(request: Any) -> GraphQLRequest:
    if isinstance(request, list):
        raise _malformed("Batches are not supported: send one operation per request.")
    if not isinstance(request, dict):
        raise _malformed('The request is a JSON object: {"query": "…", "variables": {…}}.')
    query = request.get("query")
    if query is None and isinstance(request.get("extensions"), dict):
        # Apollo Client then sends the whole document by itself.
        raise RequestRefused(200, "PERSISTED_QUERY_NOT_SUPPORTED", "PersistedQueryNotSupported")
    if not isinstance(query, str) or not query.strip():
        raise _malformed("`query` must hold the GraphQL document.")
    variables = request.get("variables")
    if variables is not None and not isinstance(variables, dict):
        raise _malformed("`variables` must be a JSON object.")
    if not isinstance(request.get("extensions") or {}, dict):
        raise _malformed("`extensions` must be a JSON object.")
    operation_name = request.get("operationName")
    if operation_name is not None and not isinstance(operation_name, str):
        raise _malformed("`operationName` must be text.")
    return GraphQLRequest(query, variables, operation_name or None)


def _malformed(message: str) -> RequestRefused:
    return RequestRefused(400, "BAD_REQUEST", message)


def _too_large() -> RequestRefused:
    return RequestRefused(
        413,
        "LIMIT_EXCEEDED",
        f"The body is larger than {MAX_BODY_BYTES} bytes.",
        {"Connection": "close"},
    )
