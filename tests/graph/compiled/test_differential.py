"""Compiled operations give the same replies as graphql-core, byte for byte."""

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    OperationDefinitionNode,
    OperationType,
    parse,
)
from hypothesis import HealthCheck, assume, given, note, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from graph.compiled.compiled_operation import CompiledOperation
from graph.documents.validation import validate_document
from graph.http.replies import reply_result
from graph.statuses import JSON
from tests.graph.compiled.documents import Request, Writer
from tests.graph.compiled.nasty import NASTY
from tests.graph.compiled.nasty_inputs import POOLS
from tests.graph.compiled.nasty_leaves import Context
from tests.graph.compiled.running import all_tasks_end

# Two thirds of them run here, the others in `test_same_replies.py`.
EXAMPLES = int(os.environ.get("DIFFERENTIAL_EXAMPLES", "500"))


@dataclass(frozen=True, slots=True)
class Outcome:
    """The observable results of one execution."""

    reply: Any
    # Messages of internal errors, which the reply masks.
    messages: list[str]
    calls: list[str]
    basket: list[int]


@contextmanager
def left_behind() -> Iterator[list[Any]]:
    """Collects coroutines of the block that were never awaited."""
    left: list[Any] = []
    before, sys.unraisablehook = (
        sys.unraisablehook,
        lambda found: left.append(repr(found.exc_value)),
    )
    # Collect the garbage of this block only.
    gc.disable()
    try:
        yield left
    finally:
        gc.collect(0)
        gc.enable()
        sys.unraisablehook = before


async def outcome(execute: Any, variables: dict[str, Any], context: Context) -> Outcome:
    """Runs an operation, and waits for its background tasks."""
    result = execute(variables, context)
    if not isinstance(result, ExecutionResult):
        result = await result
    calls = list(context.calls)
    await all_tasks_end()
    errors = result.errors or []
    with capture_logs():
        try:
            reply: Any = reply_result(result, JSON, "the-request")
        except TypeError as error:
            # A custom scalar is not JSON.
            reply = str(error)
    messages = [f"{error.message} {error.original_error!r}" for error in errors]
    return Outcome(reply, messages, calls, context.basket)


def compiled(request: Request) -> CompiledOperation:
    document = parse(request.text)
    (operation,) = [node for node in document.definitions if _is_requested(node, request)]
    assert isinstance(operation, OperationDefinitionNode)
    assume(_is_valid(document, operation))
    return CompiledOperation(NASTY, document, operation)


def _is_valid(document: DocumentNode, operation: OperationDefinitionNode) -> bool:
    return not validate_document(NASTY._schema, document, operation, introspection=True)


def _is_requested(node: object, request: Request) -> bool:
    if not isinstance(node, OperationDefinitionNode):
        return False
    return (node.name and node.name.value) == request.name


@settings(
    max_examples=EXAMPLES * 2 // 3,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(
    # True random: Hypothesis would choose simple values too often. `room` can shrink.
    random=st.randoms(use_true_random=True),
    room=st.sampled_from([2, 5, 10, 25, 60]),
    kind=st.sampled_from([OperationType.QUERY, OperationType.QUERY, OperationType.MUTATION]),
    failing=st.sampled_from([0.0, 0.02, 0.1, 0.4]),
    seed=st.integers(0, 999),
)
async def test_random_operation_gives_the_same_result_as_graphql_core(
    random: Random, room: int, kind: OperationType, failing: float, seed: int
) -> None:
    request = Writer(NASTY._schema, random, POOLS, room=room).request(kind)
    operation = compiled(request)
    note(request.text)
    for variables in request.variables:
        note(f"{variables}")
        with left_behind() as ours:
            one = await outcome(operation.execute, variables, Context(f"{seed}", failing))
        with left_behind() as theirs:
            other = await outcome(
                operation.execute_uncompiled, variables, Context(f"{seed}", failing)
            )
        assert one == other
        # A task that is cancelled before it starts leaves an unawaited coroutine, here and there.
        assert len(ours) <= len(theirs)
