"""Compiles one field: calls its resolver and completes the value."""

from collections.abc import Callable, Mapping
from typing import Any

from graphql import (
    FieldNode,
    GraphQLError,
    GraphQLField,
    GraphQLNonNull,
    GraphQLObjectType,
    VariableNode,
    Visitor,
    visit,
)
from graphql.execution.values import VariableValues, get_argument_values

from graph.compiled.compilable import definition_of, is_constant
from graph.compiled.completion import Completion, FieldLocation, finisher, pass_through_type
from graph.compiled.resolve_info import MakeInfo, strawberry_info
from graph.compiled.resolvers import PlainResolver
from graph.compiled.runs import Fail, Path, Run, on_error

# Takes the object that has the field. Returns the completed value, or a coroutine of it.
RunField = Callable[[Any, Run, Path | None], Any]
Arguments = Callable[[Run], Mapping[str, Any]]


def typename_field(parent: GraphQLObjectType) -> RunField:
    """Compiles `__typename`."""
    name = parent.name

    def run_typename(_source: Any, _run: Run, _path: Path | None) -> str:
        return name

    return run_typename


def attribute_field(
    name: str, key: str, field: GraphQLField, completion: Completion, location: FieldLocation
) -> RunField:
    """Compiles a field without a resolver, which returns an attribute of its object."""
    pass_through, parent, nodes = (
        pass_through_type(field.type),
        location.parent.name,
        location.nodes,
    )
    fail = _on_error_in(field)
    finish = finisher(completion, nodes, fail)

    def run_attribute(source: Any, run: Run, parent_path: Path | None) -> Any:
        try:
            value = getattr(source, name)
            if type(value) is pass_through:
                return value
        except Exception as error:
            return fail(run, error, nodes, (parent_path, key, parent))
        return finish(value, run, (parent_path, key, parent), None)

    return run_attribute


def plain_field(
    plain: PlainResolver,
    key: str,
    field: GraphQLField,
    shared: tuple[Completion, FieldLocation, MakeInfo],
) -> RunField:
    """Compiles a field whose resolver takes no arguments."""
    completion, location, make_core_info = shared
    parent, nodes, fail = location.parent.name, location.nodes, _on_error_in(field)
    finish, resolve = finisher(completion, nodes, fail), plain.resolve
    definition = definition_of(field)
    assert definition
    make_info = strawberry_info(make_core_info, definition) if plain.wants_info else None

    def run_plain(source: Any, run: Run, parent_path: Path | None) -> Any:
        path = (parent_path, key, parent)
        try:
            # The run has a `context`, which is all that this resolver reads of `info`.
            value = resolve(source, make_info(run, path) if make_info else run)
        except Exception as error:
            return fail(run, error, nodes, path)
        return finish(value, run, path, None)

    return run_plain


def resolved_field(
    key: str, field: GraphQLField, shared: tuple[Completion, FieldLocation, MakeInfo]
) -> RunField:
    """Compiles any field with a resolver, which Strawberry has wrapped."""
    completion, location, make_info = shared
    nodes, parent, resolve = location.nodes, location.parent.name, field.resolve
    arguments, fail = _arguments(field, nodes[0]), _on_error_in(field)
    finish = finisher(completion, nodes, fail)
    assert resolve

    def run_resolved(source: Any, run: Run, parent_path: Path | None) -> Any:
        path = (parent_path, key, parent)
        info = make_info(run, path)
        try:
            value = resolve(source, info, **arguments(run)) if arguments else resolve(source, info)
        except Exception as error:
            return fail(run, error, nodes, path)
        return finish(value, run, path, info)

    return run_resolved


def _on_error_in(field: GraphQLField) -> Fail:
    return on_error(nullable=not isinstance(field.type, GraphQLNonNull))


def _arguments(field: GraphQLField, node: FieldNode) -> Arguments | None:
    """Returns a function that reads the arguments; constant arguments are read once."""
    if not field.args:
        return None

    def read(run: Run) -> Mapping[str, Any]:
        return get_argument_values(field, node, run.variables)

    if _has_variable(node) or not all(is_constant(arg.type) for arg in field.args.values()):
        return read
    try:
        constant = get_argument_values(field, node, VariableValues({}, {}))
    except GraphQLError:
        # Each call raises it again, with its path.
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
