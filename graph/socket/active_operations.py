"""Runs the operations of one socket, with the same rules as over HTTP."""

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
from graph.socket.messages import CloseSocket
from graph.socket.viewer import SocketViewer, close_for_outage
from models.database import DatabaseUnavailable
from models.waits import watched_waits

# Subscriptions that report the end of the viewer's session, so they may send one event after it.
_FINAL_EVENT_FIELDS = frozenset({"sessionEvents"})
FINAL_EVENT_SECONDS = 0.5

Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Close = Callable[[CloseSocket], None]
Errors = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class OperationScope:
    """The dependencies that the operations of one socket share."""

    operations: Operations
    auth: Auth
    cookies: CookiePolicy
    client: Client
    viewer: SocketViewer
    unfinished: UnfinishedOperations
    max_operations: int


@dataclass(slots=True)
class _Run:
    """A running operation."""

    id: str
    operation: Operation
    request: GraphQLRequest
    request_id: str = field(default_factory=lambda: uuid4().hex)
    task: "asyncio.Task[None] | None" = None

    @property
    def is_subscription(self) -> bool:
        return self.operation.type is OperationType.SUBSCRIPTION


class SocketOperations:
    """Starts the operations of one socket, sends their results, and stops them."""

    def __init__(
        self, scope: OperationScope, tasks: asyncio.TaskGroup, send: Send, close: Close
    ) -> None:
        self._scope = scope
        self._tasks = tasks
        self._send = send
        self._close = close
        # Until the client completes the operation.
        self._by_id: dict[str, _Run] = {}
        # Until the task has ended.
        self._running: set[asyncio.Task[None]] = set()

    async def start(self, operation_id: str, payload: Mapping[str, Any]) -> None:
        """Starts an operation, or sends its errors. Raises CloseSocket for an ID in use."""
        if operation_id in self._by_id:
            raise CloseSocket(4409, f"Subscriber for {operation_id} already exists")
        try:
            run = self._prepare(operation_id, payload)
        except (OperationRefused, RequestRefused) as refused:
            await self._send_errors(operation_id, _errors_of(refused))
        else:
            run.task = self._tasks.create_task(self._run(run))
            self._by_id[operation_id] = run
            self._running.add(run.task)
            run.task.add_done_callback(self._running.discard)

    def complete(self, operation_id: str) -> None:
        """Stops an operation. A mutation that has started is finished without a reply."""
        run = self._by_id.pop(operation_id, None)
        if run and run.task and run.operation.type is not OperationType.MUTATION:
            run.task.cancel()

    async def finish_replies(self, *, with_final_events: bool) -> None:
        """Waits until the queries and mutations have ended. Subscriptions continue."""
        runs = list(self._by_id.values())
        final = [run for run in runs if run.operation.root_fields <= _FINAL_EVENT_FIELDS]
        await _wait(
            [run for run in runs if not run.is_subscription], self._scope.unfinished.seconds
        )
        if with_final_events:
            await _wait(final, FINAL_EVENT_SECONDS)

    def _prepare(self, operation_id: str, payload: Mapping[str, Any]) -> _Run:
        """Returns the operation of a `subscribe` message.

        Raises OperationRefused, RequestRefused.
        """
        request = read_request(payload)
        maximum = self._scope.max_operations
        if len(self._running) >= maximum:
            error = coded_error(
                "LIMIT_EXCEEDED",
                f"{maximum} operations are running on this socket. Complete one first.",
                limit="socket_operations",
                maximum=maximum,
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
        except CloseSocket as close:
            self._close(close)
        except WebSocketDisconnect:
            raise
        except BaseException as error:
            # A resolver can raise SystemExit or CancelledError. The other operations continue.
            if _is_own_cancellation(error):
                raise
            await self._fail(run, _format(error, run.request_id))
        finally:
            if self._is_active(run):
                del self._by_id[run.id]

    async def _execute(self, run: _Run) -> None:
        """Runs a query or mutation, and sends its result."""
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
        """Runs a subscription, and sends a result for each event."""
        context = await self._context()
        results = await self._results(run, context)
        if isinstance(results, ExecutionResult):
            await self._fail(run, format_errors(results.errors or [], run.request_id))
            return
        async with aclosing(results):  # type: ignore[type-var] # it is a generator
            async for result in results:
                if is_request_error(result):
                    # An extension of a custom schema refused the operation.
                    await self._fail(run, format_errors(result.errors or [], run.request_id))
                    return
                await self._check_viewer(run)
                await self._send_result(run, result)
                # The DataLoaders of the next event must not use the cache of this one.
                context.state.clear()
                # Let other tasks run, even if the source always has a next event.
                await asyncio.sleep(0)
        # Raises if the session has ended. After `complete`, a client may close the socket itself,
        # and would not receive the reason.
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
                if waits.was_cancelled:
                    raise DatabaseUnavailable("OperationTimeout") from None
                raise timeout_error(seconds, "was cancelled") from None

    async def _check_viewer(self, run: _Run) -> None:
        """Raises CloseSocket if the viewer may not receive the event."""
        try:
            await self._scope.viewer.check()
        except CloseSocket as close:
            if close.code != 4401 or not run.operation.root_fields <= _FINAL_EVENT_FIELDS:
                raise

    async def _context(self) -> Context:
        scope = self._scope
        viewer = await scope.viewer.check()
        cookies = CookieJar(scope.cookies, None, can_be_set=False)
        return Context(scope.auth, scope.client, viewer, cookies)

    async def _report_unavailable(self, run: _Run, error: DatabaseUnavailable) -> None:
        if run.is_subscription:
            # Clients reconnect, and start their subscriptions again.
            self._close(close_for_outage(error))
        else:
            await self._fail(run, _format(error, run.request_id))

    async def _send_result(self, run: _Run, result: ExecutionResult) -> None:
        if not self._is_active(run):
            return
        try:
            payload = result_body(result, format_errors(result.errors or [], run.request_id))
            await self._send({"id": run.id, "type": "next", "payload": payload})
        except NotJson as error:
            payload = {"data": None, "errors": _format(error, run.request_id)}
            await self._send({"id": run.id, "type": "next", "payload": payload})

    async def _send_complete(self, run: _Run) -> None:
        if self._is_active(run):
            await self._send({"id": run.id, "type": "complete"})

    async def _fail(self, run: _Run, errors: Errors) -> None:
        if self._is_active(run):
            await self._send_errors(run.id, errors)

    async def _send_errors(self, operation_id: str, errors: Errors) -> None:
        await self._send({"id": operation_id, "type": "error", "payload": errors})

    def _is_active(self, run: _Run) -> bool:
        """Returns whether the client has not completed it. Its ID may be reused."""
        return self._by_id.get(run.id) is run


def _errors_of(refused: OperationRefused | RequestRefused) -> Errors:
    if isinstance(refused, OperationRefused):
        return refused.errors
    return [coded_error(refused.problem.code, str(refused), **refused.extensions)]


def _format(error: BaseException, request_id: str) -> Errors:
    """Returns the reply's errors for an exception outside of the fields."""
    if isinstance(error, GraphQLError):
        return format_errors([error], request_id)
    return format_errors(internal_error(error).errors or [], request_id)


def _is_own_cancellation(error: BaseException) -> bool:
    """Returns whether the current task itself was cancelled or closed."""
    task = asyncio.current_task()
    is_cancelled = task is not None and task.cancelling() > 0
    is_exit = isinstance(error, GeneratorExit | KeyboardInterrupt)
    return is_exit or (is_cancelled and isinstance(error, asyncio.CancelledError))


async def _wait(runs: Iterable[_Run], seconds: float) -> None:
    tasks = [run.task for run in runs if run.task]
    if tasks:
        await asyncio.wait(tasks, timeout=seconds)
