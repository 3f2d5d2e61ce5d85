"""The time limit of operations: queries are cancelled, mutations run to their end."""

import asyncio
from collections.abc import Awaitable
from typing import cast

import structlog
from graphql import ExecutionResult, GraphQLError

from models.database import DatabaseUnavailable
from models.waits import watched_waits

log = structlog.get_logger("postern.graph")

# Operations that may continue after their clients got a reply. Above that, mutations are refused.
MAX_UNFINISHED = 100
# A mutation that takes longer hangs, in a custom resolver.
MAX_MUTATION_SECONDS = 60.0
STOP_SECONDS = 10.0


class OperationTimedOut(Exception):
    """The operation exceeded the time limit."""


class TooManyUnfinished(Exception):
    """Too many operations continue although their clients got a reply."""


class UnfinishedOperations:
    """Runs operations with a time limit in seconds.

    A mutation that exceeds it, or whose client disconnects, runs to its end in a separate task. If
    it were cancelled between two transactions, a sign-in would be counted but have no session.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._unfinished: set[asyncio.Task[ExecutionResult]] = set()

    def __len__(self) -> int:
        return len(self._unfinished)

    def check_capacity(self) -> None:
        """Raises TooManyUnfinished if no further mutation may start."""
        if len(self._unfinished) >= MAX_UNFINISHED:
            raise TooManyUnfinished

    async def finish(
        self, result: Awaitable[ExecutionResult], *, is_mutation: bool
    ) -> ExecutionResult:
        """Returns the result. Raises OperationTimedOut, DatabaseUnavailable.

        A timeout while waiting for the database is DatabaseUnavailable. A resolver that cancels
        itself or raises SystemExit is an internal error.
        """
        with watched_waits() as waits:
            task = asyncio.create_task(_wait_for(result))
        try:
            await asyncio.wait((task,), timeout=self.seconds)
        finally:
            if not task.done():
                waits.abandoned.set()
                self._detach(task, is_mutation=is_mutation)
        if task.done():
            return _result_of(task)
        if waits.in_progress:
            raise DatabaseUnavailable("OperationTimeout")
        raise OperationTimedOut

    async def stop(self) -> None:
        """Waits until all operations have ended, and cancels those that take too long."""
        if self._unfinished:
            _, slow = await asyncio.wait(self._unfinished, timeout=STOP_SECONDS)
            for task in slow:
                task.cancel()
            await asyncio.gather(*slow, return_exceptions=True)

    def _detach(self, task: asyncio.Task[ExecutionResult], *, is_mutation: bool) -> None:
        self._unfinished.add(task)
        task.add_done_callback(self._on_end)
        if is_mutation:
            timer = asyncio.get_running_loop().call_later(MAX_MUTATION_SECONDS, task.cancel)
            task.add_done_callback(lambda _: timer.cancel())
        else:
            task.cancel()

    def _on_end(self, task: asyncio.Task[ExecutionResult]) -> None:
        self._unfinished.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("operation.failed_after_timeout", exc_info=error)


def internal_error(error: BaseException) -> ExecutionResult:
    """Returns the result of an operation whose resolver raised a BaseException."""
    # graphql-core expects an Exception, but uses nothing that a BaseException lacks.
    cause = cast("Exception", error)
    return ExecutionResult(None, [GraphQLError("A resolver failed.", original_error=cause)])


async def _wait_for(result: Awaitable[ExecutionResult]) -> ExecutionResult:
    try:
        return await result
    except SystemExit as error:
        # A task would raise it in the event loop, which ends all requests of the process.
        return internal_error(error)


def _result_of(task: asyncio.Task[ExecutionResult]) -> ExecutionResult:
    try:
        return task.result()
    except Exception:
        raise
    except BaseException as error:  # noqa: BLE001 - `format_errors` logs and masks it
        # The caller was not cancelled: a resolver awaited a task that was.
        return internal_error(error)
