"""The operations of one socket: subscriptions, queries and mutations, by the rules of HTTP."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import structlog
from graphql import ExecutionResult, GraphQLError, OperationType
from starlette.websockets import WebSocketDisconnect

from auth.clients import Client
from auth.wiring import Auth
from graph.context import Context
from graph.cookies import CookieJar, CookiePolicy
from graph.documents.operations import Operation, OperationRefused, Operations
from graph.encoding import NotJson
from graph.errors.graphql_errors import coded_error, format_errors
from graph.http.deadlines import check_capacity, finish, start, timeout_error
from graph.http.replies import is_request_error, result_body
from graph.http.requests import GraphQLRequest, RequestRefused, read_request
from graph.http.unfinished import UnfinishedOperations, internal_error
from graph.socket.messages import SocketEnd
from graph.socket.viewer import SocketViewer, end_of_outage
from models.database import DatabaseUnavailable
from models.waits import watched_waits

# They report the end of the viewer's own session, so they may still send that after it.
_LAST_EVENTS = frozenset({"sessionEvents"})
LAST_EVENT_SECONDS = 0.5

Send = Callable[[Mapping[str, Any]], Awaitable[None]]
End = Callable[[SocketEnd], None]
Errors = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class OperationScope:
    """What the operations of one socket share."""

    operations: Operations
    auth: Auth
    cookies: CookiePolicy
    client: Client
    viewer: SocketViewer
    unfinished: UnfinishedOperations
    # How many may run at once.
    at_once: int


@dataclass(slots=True)
class _Run:
    """An operation that runs."""

    id: str
    operation: Operation
    request: GraphQLRequest
    request_id: str = field(default_factory=lambda: uuid4().hex)
    task: "asyncio.Task[None] | None" = None

    @property
    def is_subscription(self) -> bool:
        return self.operation.type is OperationType.SUBSCRIPTION


class SocketOperations:
    """Starts the operations of one socket, sends their results, and ends them."""

    def __init__(
        self, scope: OperationScope, tasks: asyncio.TaskGroup, send: Send, end: End
    ) -> None:
        self._scope = scope
        self._tasks = tasks
        self._send = send
        self._end = end
        # By id, until the client completes them; and all, until they have ended.
        self._by_id: dict[str, _Run] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def start(self, operation_id: str, payload: Mapping[str, Any]) -> None:
        """Starts an operation, or sends why it cannot run. Raises SocketEnd for an id in use."""
        if operation_id in self._by_id:
            raise SocketEnd(4409, f"Subscriber for {operation_id} already exists")
        try:
            run = self._read(operation_id, payload)
        except (OperationRefused, RequestRefused) as refused:
            await self._send_errors(operation_id, _errors_of(refused))
        else:
            run.task = self._tasks.create_task(self._run(run))
            self._by_id[operation_id] = run
            self._running.add(run.task)
            run.task.add_done_callback(self._running.discard)

    def complete(self, operation_id: str) -> None:
        """Ends an operation for the client. A mutation that has begun is finished silently."""
        run = self._by_id.pop(operation_id, None)
        if run and run.task and run.operation.type is not OperationType.MUTATION:
            run.task.cancel()

    async def finish_replies(self, *, with_last_events: bool) -> None:
        """Waits until the results that are under way were sent; subscriptions go on."""
        runs = list(self._by_id.values())
        last = [run for run in runs if run.operation.root_fields <= _LAST_EVENTS]
        await _wait(
            [run for run in runs if not run.is_subscription], self._scope.unfinished.seconds
        )
        if with_last_events:
            await _wait(last, LAST_EVENT_SECONDS)

    def _read(self, operation_id: str, payload: Mapping[str, Any]) -> _Run:
        """Raises OperationRefused, RequestRefused."""
        request = read_request(payload)
        maximum = self._scope.at_once
        if len(self._running) >= maximum:
            message = f"A socket runs at most {maximum} operations at a time."
            error = coded_error(
                "LIMIT_EXCEEDED", message, limit="socket_operations", maximum=maximum
            )
            raise OperationRefused([error])
        operation = self._scope.operations.get(
            request.query, request.document_id, request.operation_name, self._scope.client
        )
        if operation.type is OperationType.MUTATION:
            check_capacity(self._scope.unfinished)
        return _Run(operation_id, operation, request)

    async def _run(self, run: _Run) -> None:
        structlog.contextvars.bind_contextvars(request_id=run.request_id)
        try:
            await (self._subscribe(run) if run.is_subscription else self._execute(run))
        except (OperationRefused, RequestRefused) as refused:
            await self._fail(run, _errors_of(refused))
        except DatabaseUnavailable as error:
            await self._report_unavailable(run, error)
        except SocketEnd as end:
            self._end(end)
        except WebSocketDisconnect:
            raise
        except BaseException as error:
            # A resolver can raise SystemExit or CancelledError too: other operations go on.
            if _must_end(error):
                raise
            await self._fail(run, _format(error, run.request_id))
        finally:
            if self._is_wanted(run):
                del self._by_id[run.id]

    async def _execute(self, run: _Run) -> None:
        """Sends the one result of a query or a mutation."""
        context = await self._context()
        result = start(run.operation, run.request, context)
        if not isinstance(result, ExecutionResult):
            is_mutation = run.operation.type is OperationType.MUTATION
            result = await finish(self._scope.unfinished, result, is_mutation=is_mutation)
        if is_request_error(result):
            await self._fail(run, format_errors(result.errors or [], run.request_id))
            return
        await self._send_result(run, result)
        await self._send_complete(run)

    async def _subscribe(self, run: _Run) -> None:
        """Sends the results of a subscription. Each event is a result of its own."""
        context = await self._context()
        results = await self._results(run, context)
        if isinstance(results, ExecutionResult):
            await self._fail(run, format_errors(results.errors or [], run.request_id))
            return
        async with aclosing(results):  # type: ignore[type-var] # it is a generator
            async for result in results:
                if is_request_error(result):
                    # An extension of a custom schema refused it.
                    await self._fail(run, format_errors(result.errors or [], run.request_id))
                    return
                await self._check_viewer(run)
                await self._send_result(run, result)
                # DataLoaders of the next event must not give what they loaded for this one.
                context.state.clear()
                # A source that is never empty must not keep others waiting.
                await asyncio.sleep(0)
        # Raises if the session has ended. After `complete` a client would close the socket
        # itself, and would not learn why.
        await self._scope.viewer.check()
        await self._send_complete(run)

    async def _results(
        self, run: _Run, context: Context
    ) -> ExecutionResult | AsyncIterator[ExecutionResult]:
        seconds = self._scope.unfinished.seconds
        with watched_waits() as waits:
            try:
                async with asyncio.timeout(seconds):
                    return await run.operation.subscribe(
                        run.request.variables, context, run.request.extensions
                    )
            except TimeoutError:
                if waits.cut_short:
                    raise DatabaseUnavailable("OperationTimeout") from None
                raise timeout_error(seconds, "was cancelled") from None

    async def _check_viewer(self, run: _Run) -> None:
        """Raises SocketEnd where an event must not be sent any more."""
        try:
            await self._scope.viewer.check()
        except SocketEnd as end:
            if end.code != 4401 or not run.operation.root_fields <= _LAST_EVENTS:
                raise

    async def _context(self) -> Context:
        scope = self._scope
        viewer = await scope.viewer.check()
        cookies = CookieJar(scope.cookies, None, can_be_set=False)
        return Context(scope.auth, scope.client, viewer, cookies)

    async def _report_unavailable(self, run: _Run, error: DatabaseUnavailable) -> None:
        if run.is_subscription:
            # Clients reconnect, and start their subscriptions again.
            self._end(end_of_outage(error))
        else:
            await self._fail(run, _format(error, run.request_id))

    async def _send_result(self, run: _Run, result: ExecutionResult) -> None:
        if not self._is_wanted(run):
            return
        try:
            payload = result_body(result, format_errors(result.errors or [], run.request_id))
            await self._send({"id": run.id, "type": "next", "payload": payload})
        except NotJson as error:
            payload = {"data": None, "errors": _format(error, run.request_id)}
            await self._send({"id": run.id, "type": "next", "payload": payload})

    async def _send_complete(self, run: _Run) -> None:
        if self._is_wanted(run):
            await self._send({"id": run.id, "type": "complete"})

    async def _fail(self, run: _Run, errors: Errors) -> None:
        if self._is_wanted(run):
            await self._send_errors(run.id, errors)

    async def _send_errors(self, operation_id: str, errors: Errors) -> None:
        await self._send({"id": operation_id, "type": "error", "payload": errors})

    def _is_wanted(self, run: _Run) -> bool:
        """Whether the client has not completed it; another operation may have its id by now."""
        return self._by_id.get(run.id) is run


def _errors_of(refused: OperationRefused | RequestRefused) -> Errors:
    if isinstance(refused, OperationRefused):
        return refused.errors
    return [coded_error(refused.problem.code, str(refused), **refused.extensions)]


def _format(error: BaseException, request_id: str) -> Errors:
    """The errors of an exception that no field caught."""
    if isinstance(error, GraphQLError):
        return format_errors([error], request_id)
    return format_errors(internal_error(error).errors or [], request_id)


def _must_end(error: BaseException) -> bool:
    """Whether the current task itself was cancelled or closed."""
    task = asyncio.current_task()
    is_cancelled = task is not None and task.cancelling() > 0
    is_end = isinstance(error, GeneratorExit | KeyboardInterrupt)
    return is_end or (is_cancelled and isinstance(error, asyncio.CancelledError))


async def _wait(runs: Iterable[_Run], seconds: float) -> None:
    tasks = [run.task for run in runs if run.task]
    if tasks:
        await asyncio.wait(tasks, timeout=seconds)
