"""The time limit of operations. A query is cancelled at its end; a mutation is never cut short."""

import asyncio
from collections.abc import Awaitable
from typing import cast

import structlog
from graphql import ExecutionResult, GraphQLError

from models.database import DatabaseUnavailable
from models.waits import watched_waits

log = structlog.get_logger("postern.graph")

# How many operations may continue after their clients were answered. Beyond, mutations are refused.
MAX_LATE = 100
# A mutation that takes longer waits for something that does not come, in custom code.
LATE_SECONDS = 60.0
STOP_SECONDS = 10.0


class OutOfTime(Exception):
    """The operation took longer than it may."""


class TooManyUnfinished(Exception):
    """Too many operations whose clients were answered already have not ended yet."""


class UnfinishedOperations:
    """Waits for operations, each for at most so many seconds.

    A mutation that takes longer, or whose client has disconnected, runs to its end in a separate
    task: between two of its transactions a login is counted and its session has not begun.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._late: set[asyncio.Task[ExecutionResult]] = set()

    def __len__(self) -> int:
        return len(self._late)

    def check_room(self) -> None:
        """Called before a mutation begins. Raises TooManyUnfinished."""
        if len(self._late) >= MAX_LATE:
            raise TooManyUnfinished

    async def finish(
        self, result: Awaitable[ExecutionResult], *, is_mutation: bool
    ) -> ExecutionResult:
        """The result. Raises OutOfTime, or DatabaseUnavailable if the database took that time.

        A resolver that cancels itself, or raises SystemExit, is an internal error.
        """
        with watched_waits() as waits:
            task = asyncio.create_task(_wait_for(result))
        try:
            await asyncio.wait((task,), timeout=self.seconds)
        finally:
            if not task.done():
                waits.abandoned.set()
                self._let_end(task, is_mutation=is_mutation)
        if task.done():
            return _result_of(task)
        if waits.in_progress:
            raise DatabaseUnavailable("OperationTimeout")
        raise OutOfTime

    async def stop(self) -> None:
        """Returns when every operation has ended; cancels those that take too long."""
        if self._late:
            _, slow = await asyncio.wait(self._late, timeout=STOP_SECONDS)
            for task in slow:
                task.cancel()
            await asyncio.gather(*slow, return_exceptions=True)

    def _let_end(self, task: asyncio.Task[ExecutionResult], *, is_mutation: bool) -> None:
        self._late.add(task)
        task.add_done_callback(self._ended)
        if is_mutation:
            timer = asyncio.get_running_loop().call_later(LATE_SECONDS, task.cancel)
            task.add_done_callback(lambda _: timer.cancel())
        else:
            task.cancel()

    def _ended(self, task: asyncio.Task[ExecutionResult]) -> None:
        self._late.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("operation.failed_after_timeout", exc_info=error)


def internal_error(error: BaseException) -> ExecutionResult:
    """The result of an operation whose resolver raised something other than an Exception."""
    # graphql-core expects an Exception, and uses nothing that other exceptions lack.
    cause = cast("Exception", error)
    return ExecutionResult(None, [GraphQLError("A resolver failed.", original_error=cause)])


async def _wait_for(result: Awaitable[ExecutionResult]) -> ExecutionResult:
    try:
        return await result
    except SystemExit as error:
        # A task would pass it on to the event loop, and all requests of the process would end.
        return internal_error(error)


def _result_of(task: asyncio.Task[ExecutionResult]) -> ExecutionResult:
    try:
        return task.result()
    except Exception:
        raise
    except BaseException as error:  # noqa: BLE001 - `format_errors` logs and masks it
        # The caller was not cancelled: a resolver awaited something that was.
        return internal_error(error)
