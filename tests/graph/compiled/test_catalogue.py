"""Each feature of Strawberry gives the same reply compiled as by `Schema.execute`."""

import asyncio
from contextlib import aclosing
from typing import Any

import pytest
from graphql import ExecutionResult, GraphQLError, OperationDefinitionNode, parse
from strawberry.types.execution import PreExecutionError

from graph.compiled.compilable import is_compilable_schema
from graph.documents.validation import validate_document
from graph.http.replies import is_request_error
from tests.graph.compiled.catalogue import (  # noqa: F401 - register
    extensions,
    fields,
    inputs,
    types,
)
from tests.graph.compiled.catalogue.examples import EXAMPLES, SEEN, Example, Path
from tests.graph.compiled.catalogue.subscriptions import SUBSCRIPTIONS, WAITS, Hooks, subscribed
from tests.graph.compiled.running import Watched, all_tasks_end

# The second run shows whether state of the first was kept.
RUNS = 2


def outcome(result: Any) -> Any:
    """Returns the observable results of one run, those that clients cannot see included."""
    errors = [error.formatted for error in result.errors or []]
    causes = [repr(error.original_error) for error in result.errors or []]
    seen = list(SEEN)
    SEEN.clear()
    return result.data, errors, causes, result.extensions or {}, seen


async def by_strawberry(example: Example) -> list[Any]:
    outcomes = []
    for _ in range(RUNS):
        result = await example.schema.execute(
            example.text,
            example.variables,
            example.context,
            operation_name=example.name,
            operation_extensions=example.extensions,
        )
        await all_tasks_end()
        outcomes.append(outcome(result))
    return outcomes


def prepare(example: Example) -> Watched:
    document = parse(example.text)
    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode):
            name = node.name.value if node.name else None
            if example.name in {None, name}:
                schema = example.schema._schema
                assert not validate_document(schema, document, node, introspection=True)
                return Watched(example.schema, document, node)
    raise AssertionError("no such operation")


async def compiled(example: Example) -> tuple[list[Any], Path]:
    operation = prepare(example)
    outcomes = []
    for _ in range(RUNS):
        result = await operation.run(example.variables, example.context, example.extensions)
        await all_tasks_end()
        outcomes.append(outcome(result))
    if not is_compilable_schema(example.schema):
        return outcomes, Path.STRAWBERRY
    return outcomes, Path.GRAPHQL_CORE if operation.interpreted else Path.COMPILED


@pytest.mark.parametrize("name", EXAMPLES)
async def test_feature_gives_the_same_reply_compiled(name: str) -> None:
    SEEN.clear()
    theirs, example = await by_strawberry(EXAMPLES[name]()), EXAMPLES[name]()
    ours, path = await compiled(example)
    assert ours == theirs
    assert path is example.path


async def events_of(results: Any) -> list[Any]:
    if isinstance(results, ExecutionResult):
        return [outcome(results)]
    outcomes = []
    try:
        async with aclosing(results):
            async for result in results:
                outcomes += [outcome(result)]
                if is_request_error(result):
                    return outcomes
    except ValueError as error:
        # The socket reports it, as Strawberry does.
        failure = GraphQLError(str(error), original_error=error)
        return [*outcomes, outcome(ExecutionResult(None, [failure]))]
    return [*outcomes, outcome(ExecutionResult(None, None))]


async def events_by_strawberry(example: Example) -> list[Any]:
    results: Any = await example.schema.subscribe(example.text, example.variables)
    outcomes = []
    async with aclosing(results):
        async for result in results:
            outcomes.append(outcome(result))
            has_path = any(error.path for error in result.errors or [])
            if isinstance(result, PreExecutionError) or (result.errors and not has_path):
                return outcomes
    return [*outcomes, outcome(ExecutionResult(None, None))]


@pytest.mark.parametrize("name", SUBSCRIPTIONS)
async def test_subscription_gives_the_same_events(name: str) -> None:
    SEEN.clear()
    theirs = await events_by_strawberry(SUBSCRIPTIONS[name]())
    SEEN.clear()
    example = SUBSCRIPTIONS[name]()
    ours = await events_of(await prepare(example).subscribe(example.variables, None))
    SEEN.clear()
    assert ours == theirs


@pytest.mark.parametrize("hooks", [[], [Hooks]])
async def test_subscription_does_not_wait_for_its_first_event(hooks: list[Any]) -> None:
    async with asyncio.timeout(10):
        results = await prepare(subscribed(WAITS, None, *hooks)()).subscribe(None, None)
    assert not isinstance(results, ExecutionResult)
    SEEN.clear()
