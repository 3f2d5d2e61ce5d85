"""GraphQL over HTTP: from the bytes of a request to the bytes of the reply.

https://graphql.github.io/graphql-over-http/draft/; where drafts and clients differ, the replies are
those that today's clients understand.
"""

from typing import Any
from uuid import uuid4

import orjson
import structlog
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from strawberry.exceptions import MissingQueryError
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError
from strawberry.types.graphql import OperationType

from auth.wiring import Auth
from graph.context import get_context, www_authenticate
from graph.cookies import CookieJar, CookiePolicy
from graph.errors import (
    NO_SUCH_OPERATION,
    RETRY_AFTER_UNAVAILABLE_SECONDS,
    coded_error,
    format_errors,
)
from graph.explorer import Explorer
from graph.requests import (
    JSON,
    GraphQLRequest,
    RequestRefused,
    accepted_media_type,
    client_of,
    read_body,
    read_post,
    read_query_string,
)
from graph.schema import Schema
from models.database import DatabaseUnavailable

log = structlog.get_logger("postern.graph")

# Of what is wrong with a document, the first few tell enough.
MAX_DOCUMENT_ERRORS = 5

_QUERY_ONLY = frozenset({OperationType.QUERY})
_QUERY_OR_MUTATION = frozenset({OperationType.QUERY, OperationType.MUTATION})
_NOT_BY_THIS_METHOD = RequestRefused(
    405,
    "METHOD_NOT_ALLOWED",
    "A GET runs queries only; send this operation by POST.",
    {"Allow": "POST"},
)


class GraphQLEndpoint:
    """The ASGI application at `/graphql`. `explorer` is None where it is turned off."""

    def __init__(
        self, schema: Schema, auth: Auth, cookies: CookiePolicy, explorer: Explorer | None
    ) -> None:
        self._schema = schema
        self._auth = auth
        self._cookies = cookies
        self._explorer = explorer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one HTTP request."""
        headers = Headers(scope=scope)
        if self._explorer and self._explorer.is_asked_for(scope, headers):
            await self._explorer.page()(scope, receive, send)
            return
        try:
            response = await self._answer(scope, headers, receive)
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def _answer(self, scope: Scope, headers: Headers, receive: Receive) -> Response:
        request_id = scope.get("postern.request_id") or uuid4().hex
        media_type = accepted_media_type(headers)
        if media_type is None:
            error = coded_error("NOT_ACCEPTABLE", "Accept application/json, or a type like it.")
            return _reply(406, {"errors": [error]}, JSON, {})
        try:
            request = await _read(scope, headers, receive)
            return await self._run(scope, headers, request, media_type, request_id)
        except RequestRefused as refused:
            error = coded_error(refused.code, refused.message)
            return _reply(refused.status, {"errors": [error]}, media_type, refused.headers)
        except DatabaseUnavailable:
            error = coded_error("SERVICE_UNAVAILABLE", "The server cannot reach its database.")
            return _reply(503, {"errors": [error]}, media_type, _retry_later())

    async def _run(
        self,
        scope: Scope,
        headers: Headers,
        request: GraphQLRequest,
        media_type: str,
        request_id: str,
    ) -> Response:
        cookies = CookieJar(self._cookies, self._cookies.read(headers))
        context = await get_context(
            self._auth, client_of(scope), headers.getlist("authorization"), cookies
        )
        try:
            result = await self._schema.execute(
                request.query,
                variable_values=request.variables,
                context_value=context,
                operation_name=request.operation_name,
                allowed_operation_types=(
                    _QUERY_ONLY if scope["method"] == "GET" else _QUERY_OR_MUTATION
                ),
            )
        except InvalidOperationTypeError as error:
            raise _refuse_operation_type(error) from None
        except (MissingQueryError, CannotGetOperationTypeError):
            raise RequestRefused(
                _request_error_status(media_type),
                "OPERATION_RESOLUTION_FAILURE",
                NO_SUCH_OPERATION,
            ) from None
        response = _reply_result(result, media_type, request_id)
        if cookies.set_cookie:
            response.headers.append("Set-Cookie", cookies.set_cookie)
        return response


async def _read(scope: Scope, headers: Headers, receive: Receive) -> GraphQLRequest:
    if scope["method"] == "POST":
        return read_post(headers, await read_body(headers, receive))
    if scope["method"] == "GET":
        return read_query_string(scope["query_string"])
    raise RequestRefused(405, "METHOD_NOT_ALLOWED", "Use GET or POST.", {"Allow": "GET, POST"})


def _refuse_operation_type(error: InvalidOperationTypeError) -> RequestRefused:
    if error.operation_type is OperationType.SUBSCRIPTION:
        return RequestRefused(
            400, "BAD_REQUEST", "Subscriptions do not run over plain HTTP requests."
        )
    return _NOT_BY_THIS_METHOD


def _reply_result(result: ExecutionResult, media_type: str, request_id: str) -> Response:
    told = result.errors or []
    if isinstance(result, PreExecutionError):
        told = told[:MAX_DOCUMENT_ERRORS]
    errors = format_errors(told, request_id)
    codes = {error["extensions"]["code"]: error["extensions"] for error in errors}
    # A request that was refused before anything ran has no `data` at all, rather than null.
    refused = isinstance(result, PreExecutionError) or (
        result.data is None and all("path" not in error for error in errors)
    )
    body: dict[str, Any] = {} if refused else {"data": result.data}
    if errors:
        body["errors"] = errors
    headers: dict[str, str] = {}
    if "UNAUTHENTICATED" in codes:
        headers["WWW-Authenticate"] = www_authenticate(codes["UNAUTHENTICATED"]["reason"])
    if "SERVICE_UNAVAILABLE" in codes:
        return _reply(503, body, media_type, {**headers, **_retry_later()})
    return _reply(_request_error_status(media_type) if refused else 200, body, media_type, headers)


def _request_error_status(media_type: str) -> int:
    # Under `application/json` a client takes a 4xx for the word of a proxy and does not read the
    # errors: so the older clients do, and the specification allows for it.
    return 200 if media_type == JSON else 400


def _retry_later() -> dict[str, str]:
    return {"Retry-After": str(RETRY_AFTER_UNAVAILABLE_SECONDS)}


def _reply(status: int, body: dict[str, Any], media_type: str, headers: dict[str, str]) -> Response:
    return Response(
        orjson.dumps(body),
        status,
        {
            "Content-Type": f"{media_type}; charset=utf-8",
            # RFC 6749, 5.1: replies may hold tokens.
            "Cache-Control": "no-store",
            **headers,
        },
    )
