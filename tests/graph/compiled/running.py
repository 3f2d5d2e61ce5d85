"""Helpers that run operations of a schema."""

import asyncio
from typing import Any

import strawberry
from graphql import ExecutionResult, OperationDefinitionNode, parse

from graph.compiled.compiled_operation import CompiledOperation


class Watched(CompiledOperation):
    """Counts the runs on graphql-core."""

    interpreted = 0

    def execute_uncompiled(self, variables: Any, context: object, extensions: Any = None) -> Any:
        self.interpreted += 1
        return super().execute_uncompiled(variables, context, extensions)

    async def run(
        self,
        variables: dict[str, Any] | None = None,
        context: object = None,
        extensions: dict[str, Any] | None = None,
    ) -> ExecutionResult:
        result = self.execute(variables, context, extensions)
        return result if isinstance(result, ExecutionResult) else await result


def prepare(query: type, text: str, mutation: type | None = None) -> Watched:
    """Compiles the first operation of the document."""
    return prepare_with(strawberry.Schema(query, mutation), text)


def prepare_with(schema: strawberry.Schema, text: str) -> Watched:
    """Compiles the first operation of the document for this schema."""
    document = parse(text)
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    return Watched(schema, document, operation)


async def run(query: type, text: str, variables: dict[str, Any] | None = None) -> Any:
    """Returns the result of the compiled operation."""
    operation = prepare(query, text)
    result = await operation.run(variables)
    assert operation.interpreted == 0
    return result


async def all_tasks_end() -> None:
    """Waits for all background tasks."""
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(others)
    # The event loop releases ended tasks in its next turn.
    await asyncio.sleep(0)
    await asyncio.sleep(0)


def errors_of(result: ExecutionResult) -> list[tuple[str, Any, Any]]:
    """Returns message, path and locations of the errors."""
    return [(error.message, error.path, error.locations) for error in result.errors or []]
