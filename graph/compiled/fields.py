"""One field: its resolver is called, and what it gives is completed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import CoroutineType
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLField,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    VariableNode,
    Visitor,
    visit,
)
from graphql.execution.values import VariableValues, get_argument_values
from graphql.pyutils import Path
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.schema import (
    _OperationContextAwareGraphQLResolveInfo as ResolveInfo,  # what Strawberry's resolvers expect
)

from graph.compiled.completion import Complete, Place, type_as_it_is
from graph.compiled.runs import Run, is_awaitable

# From the object that has the field to the completed value, or to a coroutine that returns it.
RunField = Callable[[Any, Run, Path | None], Any]
Arguments = Callable[[Run], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Document:
    """What `info` tells a resolver of the operation."""

    schema: GraphQLSchema
    operation: OperationDefinitionNode
    fragments: dict[str, FragmentDefinitionNode]
    helpers: Any


def typename_field(parent: GraphQLObjectType) -> RunField:
    """`__typename`."""
    name = parent.name

    def run_typename(_source: Any, _run: Run, _path: Path | None) -> str:
        return name

    return run_typename


def attribute_field(
    name: str, key: str, field: GraphQLField, complete: Complete, place: Place
) -> RunField:
    """A field without a resolver: the attribute of its object."""
    non_null = isinstance(field.type, GraphQLNonNull)
    as_it_is, parent, nodes = type_as_it_is(field.type), place.parent.name, place.nodes

    def run_attribute(source: Any, run: Run, parent_path: Path | None) -> Any:
        try:
            value = getattr(source, name)
            if type(value) is as_it_is:
                return value
        except Exception as error:
            return run.fail(error, nodes, Path(parent_path, key, parent), non_null)
        return finish(value, run, Path(parent_path, key, parent), None)

    finish = _finish_field(complete, nodes, non_null)
    return run_attribute


def resolved_field(
    key: str, field: GraphQLField, complete: Complete, place: Place, document: Document
) -> RunField:
    """A field with a resolver, which Strawberry has wrapped in its extensions and permissions."""
    non_null = isinstance(field.type, GraphQLNonNull)
    nodes, parent = place.nodes, place.parent
    name, arguments, resolve = nodes[0].name.value, _arguments(field, nodes[0]), field.resolve
    schema, fragments, operation = document.schema, document.fragments, document.operation
    return_type, helpers = field.type, document.helpers
    finish = _finish_field(complete, nodes, non_null)
    assert resolve

    def run_resolved(source: Any, run: Run, parent_path: Path | None) -> Any:
        path = Path(parent_path, key, parent.name)
        info: Any = ResolveInfo(
            name,
            nodes,
            return_type,
            parent,
            path,
            schema,
            fragments,
            run.root,
            operation,
            run.variables.coerced,
            run.context,
            optimized_is_awaitable,
            None,
            helpers,
            None,  # type: ignore[arg-type] # Strawberry itself passes none without extensions
        )
        try:
            value = resolve(source, info, **arguments(run)) if arguments else resolve(source, info)
        except Exception as error:
            return run.fail(error, nodes, path, non_null)
        return finish(value, run, path, info)

    return run_resolved


def _finish_field(
    complete: Complete, nodes: list[FieldNode], non_null: bool
) -> Callable[[Any, Run, Path, Any], Any]:
    """From what a resolver gave to the completed value, or to a coroutine that returns it."""

    async def finish_value(value: Any, run: Run, path: Path, info: Any) -> Any:
        try:
            completed = complete(await value, run, path, info)
            return await completed if type(completed) is CoroutineType else completed
        except Exception as error:
            return run.fail(error, nodes, path, non_null)

    async def finish_completed(completed: Any, run: Run, path: Path) -> Any:
        try:
            return await completed
        except Exception as error:
            return run.fail(error, nodes, path, non_null)

    def finish(value: Any, run: Run, path: Path, info: Any) -> Any:
        if is_awaitable(value):
            return finish_value(value, run, path, info)
        try:
            completed = complete(value, run, path, info)
        except Exception as error:
            return run.fail(error, nodes, path, non_null)
        if type(completed) is CoroutineType:
            return finish_completed(completed, run, path)
        return completed

    return finish


def _arguments(field: GraphQLField, node: FieldNode) -> Arguments | None:
    """The arguments of a call; those without variables are read once."""
    if not field.args:
        return None

    def read(run: Run) -> Mapping[str, Any]:
        return get_argument_values(field, node, run.variables)

    if _has_variable(node):
        return read
    try:
        constant = get_argument_values(field, node, VariableValues({}, {}))
    except GraphQLError:
        # Told at each call, with its place.
        return read
    return lambda _run: constant


class _VariableFinder(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.found = False

    def enter_variable(self, _node: VariableNode, *_: Any) -> None:
        self.found = True


def _has_variable(node: FieldNode) -> bool:
    finder = _VariableFinder()
    for argument in node.arguments or ():
        visit(argument, finder)
    return finder.found
