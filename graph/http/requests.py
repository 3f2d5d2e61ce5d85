"""Requests: media types, body and parameters, parsed strictly and within limits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope

from auth.addresses import plain_address
from auth.clients import Client
from graph.negotiation import parse_weights, preference_for
from graph.statuses import JSON, RESPONSE_JSON, Problem

# At most about 4 MB in total.
MAX_CACHED_BODIES = 1_000
MAX_CACHED_BODY_BYTES = 4_096
MAX_CACHED_HEADER_BYTES = 256
# Longer values are cut off.
MAX_USER_AGENT_BYTES = 512


class RequestRefused(Exception):
    """The request cannot run; the message says why and what to do."""

    def __init__(
        self,
        problem: Problem,
        message: str,
        headers: Sequence[tuple[bytes, bytes]] = (),
        **extensions: object,
    ) -> None:
        super().__init__(message)
        self.problem = problem
        self.headers = headers
        self.extensions = extensions


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """A GraphQL request: a document or the ID of a trusted document, and its variables."""

    query: str | None
    document_id: str | None
    variables: dict[str, Any] | None
    operation_name: str | None
    # `info.input_extensions` in resolvers of custom schemas.
    extensions: dict[str, Any] | None = None


# The key in the ASGI scope under which the parsed headers are kept.
_HEADERS = "postern.headers"

# The names are in lower case, as in ASGI.
Headers = Mapping[bytes, bytes]


def read_headers(scope: Scope) -> Headers:
    """Returns the headers by name; values of repeated headers are joined (RFC 9110, 5.3)."""
    headers: Headers | None = scope.get(_HEADERS)
    if headers is None:
        headers = scope[_HEADERS] = _join(scope["headers"])
    return headers


def _join(fields: Sequence[tuple[bytes, bytes]]) -> Headers:
    headers: dict[bytes, bytes] = dict(fields)
    if len(headers) < len(fields):
        headers.clear()
        for name, value in fields:
            headers[name] = headers[name] + b", " + value if name in headers else value
    return headers


def accepted_media_type(accept: bytes) -> str | None:
    """Returns the media type of the reply that the client prefers; None if it accepts neither.

    If both are equal, the newer type is used only if the client names it: clients that accept
    anything may not understand its statuses.
    """
    return _accepted(accept) if len(accept) <= MAX_CACHED_HEADER_BYTES else _accept(accept)


def _accept(accept: bytes) -> str | None:
    weights = parse_weights(accept.decode("latin-1"))
    if not weights:
        return JSON
    newer, older = preference_for(RESPONSE_JSON, weights), preference_for(JSON, weights)
    if not newer[0] and not older[0]:
        return None
    if newer == older:
        return RESPONSE_JSON if RESPONSE_JSON in weights else JSON
    return RESPONSE_JSON if newer > older else JSON


_accepted = lru_cache(maxsize=256)(_accept)


def client_of(scope: Scope) -> Client:
    """Returns the client of a request or socket: the peer of the connection."""
    peer = scope.get("client")
    return client_at(peer[0] if peer else None, read_headers(scope).get(b"user-agent"))


def client_at(address: str | None, user_agent: bytes | None) -> Client:
    """Returns the client with this address and user agent."""
    return _client(address, user_agent and user_agent[:MAX_USER_AGENT_BYTES])


@lru_cache(maxsize=1024)
def _client(address: str | None, user_agent: bytes | None) -> Client:
    return Client(
        address=plain_address(address)[:64] if address else None,
        user_agent=user_agent.decode("latin-1") if user_agent else None,
    )


async def read_body(headers: Headers, receive: Receive, max_bytes: int) -> bytes:
    """Returns the body. Raises RequestRefused, ClientDisconnect."""
    declared = headers.get(b"content-length", b"0")
    if len(declared) < 20 and declared.isdigit() and int(declared) > max_bytes:
        raise _too_large(max_bytes, int(declared))
    message = await receive()
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        body, message = await _read_chunks(body, receive, max_bytes)
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    if len(body) > max_bytes:
        raise _too_large(max_bytes, len(body))
    return body


async def _read_chunks(first: bytes, receive: Receive, max_bytes: int) -> tuple[bytes, Message]:
    """Reads a body in chunks, up to the last one or the one that exceeds the limit."""
    body = bytearray(first)
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body") or len(body) > max_bytes:
            return bytes(body), message


class BodyReader:
    """Parses the bodies of POST requests, and caches those without variables or extensions.

    Variables and extensions may be secret, and differ in each request.
    """

    def __init__(self) -> None:
        self._cache: dict[bytes, GraphQLRequest] = {}

    def __len__(self) -> int:
        """The number of cache entries."""
        return len(self._cache)

    def read(self, headers: Headers, body: bytes) -> GraphQLRequest:
        """Returns the request in a body. Raises RequestRefused."""
        _check_content(headers)
        request = self._cache.get(body)
        if request is None:
            request = read_request(_parse_json(body, "The body"))
            has_values = request.variables or request.extensions
            if not has_values and len(body) <= MAX_CACHED_BODY_BYTES:
                self._add(body, request)
        return request

    def _add(self, body: bytes, request: GraphQLRequest) -> None:
        if len(self._cache) >= MAX_CACHED_BODIES:
            self._cache.clear()
        self._cache[body] = request


def _check_content(headers: Headers) -> None:
    # CSRF: HTML forms of other sites can send other content types without a preflight request.
    if not _is_json(headers.get(b"content-type", b"")[:MAX_CACHED_HEADER_BYTES]):
        raise RequestRefused(
            Problem.WRONG_CONTENT_TYPE,
            "Unsupported Content-Type. Send the request as application/json.",
        )
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise RequestRefused(
            Problem.WRONG_CONTENT_TYPE,
            "Content-Encoding is not supported. Send the body uncompressed.",
        )


@lru_cache(maxsize=256)
def _is_json(content_type: bytes) -> bool:
    return content_type.decode("latin-1").split(";")[0].strip().lower() == JSON


def read_get(scope: Scope, *, has_explorer: bool = False) -> GraphQLRequest:
    """Returns the request in the parameters of a GET. Raises RequestRefused."""
    if scope["method"] != "GET":
        raise RequestRefused(
            Problem.WRONG_METHOD,
            "Method not allowed. Use GET or POST.",
            [(b"allow", b"GET, HEAD, POST")],
        )
    try:
        pairs = parse_qsl(
            scope["query_string"].decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=16,
        )
    except ValueError:
        raise _malformed("The query string is invalid.") from None
    if not pairs and has_explorer:
        raise _malformed(
            "`query` is missing. Send the GraphQL document, or open this address in a browser to"
            " use the explorer."
        )
    parameters: dict[str, Any] = dict(pairs)
    if len(parameters) != len(pairs):
        raise _malformed("The query string has a parameter twice.")
    for name in ("variables", "extensions"):
        if parameters.get(name):
            parameters[name] = _parse_json(parameters[name].encode(), f"`{name}`")
        else:
            parameters.pop(name, None)
    return read_request(parameters)


def _parse_json(text: bytes, name: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise _malformed(f"{name} is not valid JSON.") from None


def read_request(request: Any) -> GraphQLRequest:
    """Returns the request in a JSON value, over HTTP or WebSocket. Raises RequestRefused."""
    if isinstance(request, list):
        raise _malformed("Batches are not supported. Send one operation per request.")
    if not isinstance(request, dict):
        raise _malformed('The request must be a JSON object: {"query": "…", "variables": {…}}.')
    query = _read_text(request, "query")
    document_id = _read_text(request, "documentId")
    if query == "" and document_id is not None:
        # graphql-ws always sends `query`, so it is empty for a trusted document.
        query = None
    variables = _read_object(request, "variables")
    extensions = _read_object(request, "extensions")
    if query is not None and document_id is not None:
        raise _malformed("Send either `query` or `documentId`, not both.")
    if query is None and document_id is None:
        raise _no_document(request, extensions)
    operation_name = _read_text(request, "operationName")
    return GraphQLRequest(query, document_id, variables, operation_name, extensions)


def _read_text(request: Mapping[str, Any], name: str) -> str | None:
    """Returns a text, or None if it is missing or blank."""
    value = request.get(name)
    if value is not None and not isinstance(value, str):
        raise _malformed(f"`{name}` must be a string.")
    return value if value and value.strip() else None


def _read_object(request: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """Returns an object, or None if it is missing or empty.

    PHP encodes an empty object as `[]`; some clients send an empty string.
    """
    value = request.get(name)
    if value in (None, [], ""):
        return None
    if not isinstance(value, dict):
        raise _malformed(f"`{name}` must be a JSON object.")
    return value


def _no_document(
    request: Mapping[str, Any], extensions: Mapping[str, Any] | None
) -> RequestRefused:
    if request.get("query") is None and extensions is not None:
        return RequestRefused(Problem.NO_PERSISTED_QUERIES, "PersistedQueryNotSupported")
    return _malformed("`query` is missing. Send the GraphQL document.")


def _malformed(message: str) -> RequestRefused:
    return RequestRefused(Problem.MALFORMED, message)


def _too_large(max_bytes: int, found: int) -> RequestRefused:
    return RequestRefused(
        Problem.TOO_LARGE,
        f"The body has at least {found} bytes, more than the limit of {max_bytes}.",
        [(b"connection", b"close")],
        limit="body_bytes",
        maximum=max_bytes,
        found=found,
    )
