"""The ASGI application of GraphQL over HTTP: reads a request, runs it, sends the reply.

https://graphql.github.io/graphql-over-http/draft/; where drafts and clients differ, the replies are
those that current clients understand (`graph/statuses.py`).
"""

from dataclasses import dataclass
from typing import Protocol
from uuid import uuid4

from graphql import ExecutionResult, OperationType
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from auth.clients import Client
from auth.wiring import Auth
from graph.context import get_context, get_known_context
from graph.cookies import CookieJar, CookiePolicy
from graph.documents.operations import Operation, OperationRefused, Operations
from graph.errors.graphql_errors import coded_error, log_unavailable
from graph.http.deadlines import check_capacity, finish, start
from graph.http.replies import RETRY_LATER, Reply, reply_problem, reply_result
from graph.http.requests import (
    BodyReader,
    Headers,
    RequestRefused,
    accepted_media_type,
    client_at,
    read_body,
    read_get,
    read_headers,
)
from graph.http.unfinished import UnfinishedOperations
from graph.idempotency import HEADER as IDEMPOTENCY_KEY
from graph.statuses import JSON, RESPONSE_JSON, Problem
from models.database import DatabaseUnavailable


@dataclass(frozen=True, slots=True)
class RequestPolicy:
    """Limits of one request."""

    body_bytes: int = 100_000
    seconds: float = 10.0


class BrowserPage(Protocol):
    """The page that a browser gets at the URL of the API."""

    def is_requested(self, scope: Scope, headers: Headers) -> bool:
        """Returns whether a browser opens the URL, rather than a program that sends a query."""

    def page(self) -> ASGIApp:
        """Returns the page as an ASGI application."""


class GraphQLEndpoint:
    """The ASGI application at `/graphql`. `explorer` is None if it is turned off."""

    def __init__(
        self,
        operations: Operations,
        auth: Auth,
        cookies: CookiePolicy,
        policy: RequestPolicy,
        explorer: BrowserPage | None,
    ) -> None:
        self._operations = operations
        self._auth = auth
        self._cookies = cookies
        self._policy = policy
        self._explorer = explorer
        self._bodies = BodyReader()
        # Shared with the sockets: the server waits for all operations before it stops.
        self.unfinished = UnfinishedOperations(policy.seconds)

    async def stop(self) -> None:
        """Waits until all operations have ended."""
        await self.unfinished.stop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one HTTP request."""
        headers = read_headers(scope)
        if self._explorer and self._explorer.is_requested(scope, headers):
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
            message = f"No acceptable media type. Accept {JSON} or {RESPONSE_JSON}."
            error = coded_error(Problem.NOT_ACCEPTABLE.code, message)
            return reply_problem(Problem.NOT_ACCEPTABLE, [error], JSON)
        try:
            if scope["method"] == "POST":
                body = await read_body(headers, receive, self._policy.body_bytes)
                request = self._bodies.read(headers, body)
            else:
                request = read_get(scope, has_explorer=self._explorer is not None)
            caller = self._read_caller(scope, headers)
            operation = self._operations.get(
                request.query, request.document_id, request.operation_name, caller[1]
            )
            is_mutation = operation.type is not OperationType.QUERY
            if is_mutation:
                _check_type(operation, scope["method"])
                check_capacity(self.unfinished)
            context = get_known_context(*caller) or await get_context(*caller)
            result = start(operation, request, context)
            if not isinstance(result, ExecutionResult):
                result = await finish(self.unfinished, result, is_mutation=is_mutation)
            return _reply(scope, result, context.cookies, media_type)
        except OperationRefused as refused:
            return reply_problem(refused.problem, refused.errors, media_type, refused.headers)
        except RequestRefused as refused:
            error = coded_error(refused.problem.code, str(refused), **refused.extensions)
            return reply_problem(refused.problem, [error], media_type, refused.headers)
        except DatabaseUnavailable as unavailable:
            log_unavailable(unavailable)
            error = coded_error(Problem.UNAVAILABLE.code, unavailable.message)
            return reply_problem(Problem.UNAVAILABLE, [error], media_type, RETRY_LATER)

    def _read_caller(
        self, scope: Scope, headers: Headers
    ) -> tuple[Auth, Client, bytes | None, CookieJar, bytes | None]:
        """Returns the arguments of `get_context`."""
        peer = scope.get("client")
        client = client_at(peer[0] if peer else None, headers.get(b"user-agent"))
        # Requests without `Origin` are not from a page.
        token = self._cookies.read(headers) if b"origin" in headers else None
        cookies = CookieJar(self._cookies, token, headers)
        authorization, key = headers.get(b"authorization"), headers.get(IDEMPOTENCY_KEY)
        return self._auth, client, authorization, cookies, key


def _reply(scope: Scope, result: ExecutionResult, cookies: CookieJar, media_type: str) -> Reply:
    reply = reply_result(result, media_type, scope.get("postern.request_id") or uuid4().hex)
    for line in (cookies.set_cookie, cookies.set_device_cookie):
        if line:
            reply.headers.append((b"set-cookie", line.encode()))
    return reply


def _check_type(operation: Operation, method: str) -> None:
    if operation.type is OperationType.SUBSCRIPTION:
        raise RequestRefused(
            Problem.MALFORMED, "Subscriptions are not supported over HTTP. Use a WebSocket."
        )
    if method == "GET":
        message = "GET requests can only run queries. Send this operation by POST."
        raise RequestRefused(Problem.WRONG_METHOD, message, [(b"allow", b"POST")])
