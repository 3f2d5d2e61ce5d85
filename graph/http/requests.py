"""What a client sent: media types, body and parameters, read strictly and within bounds."""

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

# Some megabytes at most, whoever sends what.
MAX_KNOWN_BODIES = 1_000
MAX_KNOWN_BODY_BYTES = 4_096
MAX_KNOWN_HEADER_BYTES = 256
# What a program calls itself; more than this is noise.
MAX_USER_AGENT_BYTES = 512


class RequestRefused(Exception):
    """The request cannot be run; says what is wrong, and in a sentence what to do."""

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
    """What to run: a document, or the id of a trusted one."""

    query: str | None
    document_id: str | None
    variables: dict[str, Any] | None
    operation_name: str | None
    # Read by resolvers of custom schemas, as `info.input_extensions`.
    extensions: dict[str, Any] | None = None


# Where a request keeps them, once they were read.
_HEADERS = "postern.headers"

# Names in lower case, as ASGI has them.
Headers = Mapping[bytes, bytes]


def read_headers(scope: Scope) -> Headers:
    """The headers by name; of those that came twice, the values joined (RFC 9110, 5.3)."""
    known: Headers | None = scope.get(_HEADERS)
    if known is None:
        known = scope[_HEADERS] = _join(scope["headers"])
    return known


def _join(fields: Sequence[tuple[bytes, bytes]]) -> Headers:
    headers: dict[bytes, bytes] = dict(fields)
    if len(headers) < len(fields):
        headers.clear()
        for name, value in fields:
            headers[name] = headers[name] + b", " + value if name in headers else value
    return headers


def accepted_media_type(accept: bytes) -> str | None:
    """The media type of the reply that is wanted most; None if neither will do.

    The newer one of two that are wanted equally, if it is named: clients that accept anything
    may not understand its statuses.
    """
    return _accepted(accept) if len(accept) <= MAX_KNOWN_HEADER_BYTES else _accept(accept)


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
    """Where a request or a socket comes from: the peer of the connection."""
    peer = scope.get("client")
    return client_at(peer[0] if peer else None, read_headers(scope).get(b"user-agent"))


def client_at(address: str | None, user_agent: bytes | None) -> Client:
    """The client with this address, which calls itself so."""
    return _client(address, user_agent and user_agent[:MAX_USER_AGENT_BYTES])


@lru_cache(maxsize=1024)
def _client(address: str | None, user_agent: bytes | None) -> Client:
    return Client(
        address=plain_address(address)[:64] if address else None,
        user_agent=user_agent.decode("latin-1") if user_agent else None,
    )


async def read_body(headers: Headers, receive: Receive, max_bytes: int) -> bytes:
    """The body. Raises RequestRefused, ClientDisconnect."""
    declared = headers.get(b"content-length", b"0")
    if len(declared) < 20 and declared.isdigit() and int(declared) > max_bytes:
        raise _too_large(max_bytes, int(declared))
    message = await receive()
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        body, message = await _read_on(body, receive, max_bytes)
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    if len(body) > max_bytes:
        raise _too_large(max_bytes, len(body))
    return body


async def _read_on(begun: bytes, receive: Receive, max_bytes: int) -> tuple[bytes, Message]:
    """The rest of a body that comes in pieces, or the piece that makes it too long."""
    body = bytearray(begun)
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body") or len(body) > max_bytes:
            return bytes(body), message


class BodyReader:
    """Reads bodies. One that came before is not parsed again, unless it has values.

    Variables and extensions may be secrets, and differ each time.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, GraphQLRequest] = {}

    def read(self, headers: Headers, body: bytes) -> GraphQLRequest:
        """What a POST asks for. Raises RequestRefused."""
        _check_content(headers)
        request = self._known.get(body)
        if request is None:
            request = read_request(_parse_json(body, "The body"))
            has_values = request.variables or request.extensions
            if not has_values and len(body) <= MAX_KNOWN_BODY_BYTES:
                self._remember(body, request)
        return request

    def _remember(self, body: bytes, request: GraphQLRequest) -> None:
        if len(self._known) >= MAX_KNOWN_BODIES:
            self._known.clear()
        self._known[body] = request


def _check_content(headers: Headers) -> None:
    # Exactly JSON: what an HTML form of another site can send without asking is not (CSRF).
    if not _is_json(headers.get(b"content-type", b"")[:MAX_KNOWN_HEADER_BYTES]):
        raise RequestRefused(
            Problem.WRONG_CONTENT_TYPE, "Send the request as Content-Type: application/json."
        )
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise RequestRefused(
            Problem.WRONG_CONTENT_TYPE, "Send the body as it is, without Content-Encoding."
        )


@lru_cache(maxsize=256)
def _is_json(content_type: bytes) -> bool:
    return content_type.decode("latin-1").split(";")[0].strip().lower() == JSON


def read_get(scope: Scope) -> GraphQLRequest:
    """Reads the parameters of a GET. Raises RequestRefused, for any other method too."""
    if scope["method"] != "GET":
        raise RequestRefused(
            Problem.WRONG_METHOD, "Use GET or POST.", [(b"allow", b"GET, HEAD, POST")]
        )
    try:
        pairs = parse_qsl(
            scope["query_string"].decode("ascii"),
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
    return read_request(parameters)


def _parse_json(text: bytes, what: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise _malformed(f"{what} is not JSON.") from None


def read_request(request: Any) -> GraphQLRequest:
    """Reads what a JSON value asks for, over HTTP or a socket. Raises RequestRefused."""
    if isinstance(request, list):
        raise _malformed("Batches are not supported: send one operation per request.")
    if not isinstance(request, dict):
        raise _malformed('The request is a JSON object: {"query": "…", "variables": {…}}.')
    query = _read_text(request, "query")
    document_id = _read_text(request, "documentId")
    if query == "" and document_id is not None:
        # graphql-ws sends no message without the text of a document.
        query = None
    variables = _read_object(request, "variables")
    extensions = _read_object(request, "extensions")
    if query is not None and document_id is not None:
        raise _malformed("Send either `query` or `documentId`.")
    if query is None and document_id is None:
        raise _no_document(request, extensions)
    operation_name = _read_text(request, "operationName")
    return GraphQLRequest(query, document_id, variables, operation_name, extensions)


def _read_text(request: Mapping[str, Any], name: str) -> str | None:
    """Reads a text; an empty one is None."""
    value = request.get(name)
    if value is not None and not isinstance(value, str):
        raise _malformed(f"`{name}` must be text.")
    return value if value and value.strip() else None


def _read_object(request: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """Reads an object. PHP encodes an empty one as `[]`; some clients send an empty text."""
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
    return _malformed("`query` must hold the GraphQL document.")


def _malformed(message: str) -> RequestRefused:
    return RequestRefused(Problem.MALFORMED, message)


def _too_large(max_bytes: int, found: int) -> RequestRefused:
    return RequestRefused(
        Problem.TOO_LARGE,
        f"The body has at least {found} bytes; at most {max_bytes} may be.",
        [(b"connection", b"close")],
        limit="body_bytes",
        maximum=max_bytes,
        found=found,
    )
