"""GraphQL over HTTP: from the bytes of a request to the bytes of the reply.

https://graphql.github.io/graphql-over-http/draft/; where drafts and clients differ, the replies are
those that today's clients understand (`statuses.py`).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from graphql import ExecutionResult, OperationType
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from auth.wiring import Auth
from graph.context import get_context
from graph.cookies import CookieJar, CookiePolicy
from graph.errors import coded_error
from graph.explorer import Explorer
from graph.operations import Operation, OperationRefused, Operations
from graph.replies import RETRY_LATER, Reply, reply_problem, reply_result
from graph.requests import (
    GraphQLRequest,
    Headers,
    RequestRefused,
    accepted_media_type,
    client_at,
    read_body,
    read_headers,
    read_post,
    read_query_string,
)
from graph.statuses import JSON, Problem
from models.database import DatabaseUnavailable


@dataclass(frozen=True, slots=True)
class RequestPolicy:
    """How much one request may ask of the server."""

    body_bytes: int = 100_000
    seconds: float = 10.0


class GraphQLEndpoint:
    """The ASGI application at `/graphql`. `explorer` is None where it is turned off."""

    def __init__(
        self,
        operations: Operations,
        auth: Auth,
        cookies: CookiePolicy,
        policy: RequestPolicy,
        explorer: Explorer | None,
    ) -> None:
        self._operations = operations
        self._auth = auth
        self._cookies = cookies
        self._policy = policy
        self._explorer = explorer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one HTTP request."""
        headers = read_headers(scope)
        if self._explorer and self._explorer.is_asked_for(scope, headers):
            await self._explorer.page()(scope, receive, send)
            return
        try:
            reply = await self._answer(scope, headers, receive)
        except ClientDisconnect:
            return
        await reply.send(send)

    async def _answer(self, scope: Scope, headers: Headers, receive: Receive) -> Reply:
        media_type = accepted_media_type(headers.get(b"accept", b""))
        if media_type is None:
            return _refuse(
                Problem.NOT_ACCEPTABLE, "Accept application/json, or a type like it.", JSON
            )
        try:
            request = await self._read(scope, headers, receive)
            operation = self._operations.find(
                request.query, request.document_id, request.operation_name
            )
            _check_type(operation, scope["method"])
            return await self._run(scope, headers, operation, request, media_type)
        except OperationRefused as refused:
            return reply_problem(refused.problem, refused.errors, media_type)
        except RequestRefused as refused:
            return _refuse(refused.problem, str(refused), media_type, refused.headers)
        except DatabaseUnavailable:
            message = "The server cannot reach its database."
            return _refuse(Problem.UNAVAILABLE, message, media_type, RETRY_LATER)

    async def _read(self, scope: Scope, headers: Headers, receive: Receive) -> GraphQLRequest:
        if scope["method"] == "POST":
            return read_post(headers, await read_body(headers, receive, self._policy.body_bytes))
        if scope["method"] == "GET":
            return read_query_string(scope["query_string"])
        raise RequestRefused(Problem.WRONG_METHOD, "Use GET or POST.", [(b"allow", b"GET, POST")])

    async def _run(
        self,
        scope: Scope,
        headers: Headers,
        operation: Operation,
        request: GraphQLRequest,
        media_type: str,
    ) -> Reply:
        cookies = CookieJar(self._cookies, self._cookies.read(headers))
        peer = scope.get("client")
        client = client_at(peer[0] if peer else None, headers.get(b"user-agent"))
        context = await get_context(self._auth, client, headers.get(b"authorization"), cookies)
        result = operation.start(request.variables, context)
        if not isinstance(result, ExecutionResult):
            result = await self._finish(result)
        reply = reply_result(result, media_type, scope.get("postern.request_id") or uuid4().hex)
        if cookies.set_cookie:
            reply.headers.append((b"set-cookie", cookies.set_cookie.encode()))
        return reply

    async def _finish(self, result: Any) -> ExecutionResult:
        try:
            async with asyncio.timeout(self._policy.seconds):
                finished: ExecutionResult = await result
                return finished
        except TimeoutError:
            message = f"The operation took longer than {self._policy.seconds:g} seconds."
            raise RequestRefused(Problem.TIMED_OUT, message) from None


def _check_type(operation: Operation, method: str) -> None:
    if operation.type is OperationType.SUBSCRIPTION:
        raise RequestRefused(
            Problem.MALFORMED, "Subscriptions do not run over plain HTTP requests."
        )
    if method == "GET" and operation.type is not OperationType.QUERY:
        message = "A GET runs queries only; send this operation by POST."
        raise RequestRefused(Problem.WRONG_METHOD, message, [(b"allow", b"POST")])


def _refuse(
    problem: Problem,
    message: str,
    media_type: str,
    headers: Sequence[tuple[bytes, bytes]] = (),
) -> Reply:
    return reply_problem(problem, [coded_error(problem.code, message)], media_type, headers)
