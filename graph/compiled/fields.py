"""One field: its resolver is called, and what it gives is completed."""

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

from graph.compiled.completion import Completion, Place, finisher, type_as_it_is
from graph.compiled.infos import MakeInfo, strawberry_info
from graph.compiled.known import definition_of, is_constant
from graph.compiled.resolvers import PlainResolver
from graph.compiled.runs import Fail, Path, Run, on_error

# From the object that has the field to the completed value, or to a coroutine that returns it.
RunField = Callable[[Any, Run, Path | None], Any]
Arguments = Callable[[Run], Mapping[str, Any]]


def typename_field(parent: GraphQLObjectType) -> RunField:
    """`__typename`."""
    name = parent.name

    def run_typename(_source: Any, _run: Run, _path: Path | None) -> str:
        return name

    return run_typename


def attribute_field(
    name: str, key: str, field: GraphQLField, completion: Completion, place: Place
) -> RunField:
    """A field without a resolver: the attribute of its object."""
    as_it_is, parent, nodes = type_as_it_is(field.type), place.parent.name, place.nodes
    fail = _on_error_in(field)
    finish = finisher(completion, nodes, fail)

    def run_attribute(source: Any, run: Run, parent_path: Path | None) -> Any:
        try:
            value = getattr(source, name)
            if type(value) is as_it_is:
                return value
        except Exception as error:
            return fail(run, error, nodes, (parent_path, key, parent))
        return finish(value, run, (parent_path, key, parent), None)

    return run_attribute


def plain_field(
    plain: PlainResolver,
    key: str,
    field: GraphQLField,
    finish_with: tuple[Completion, Place, MakeInfo],
) -> RunField:
    """A field whose resolver takes no arguments."""
    completion, place, make_raw_info = finish_with
    parent, nodes, fail = place.parent.name, place.nodes, _on_error_in(field)
    finish, resolve = finisher(completion, nodes, fail), plain.resolve
    definition = definition_of(field)
    assert definition
    make_info = strawberry_info(make_raw_info, definition) if plain.wants_info else None

    def run_plain(source: Any, run: Run, parent_path: Path | None) -> Any:
        path = (parent_path, key, parent)
        try:
            # The run has the context, and nothing else of `info`.
            value = resolve(source, make_info(run, path) if make_info else run)
        except Exception as error:
            return fail(run, error, nodes, path)
        return finish(value, run, path, None)

    return run_plain


def resolved_field(
    key: str, field: GraphQLField, finish_with: tuple[Completion, Place, MakeInfo]
) -> RunField:
    """Any field with a resolver, as Strawberry has wrapped it."""
    completion, place, make_info = finish_with
    nodes, parent, resolve = place.nodes, place.parent.name, field.resolve
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
    """The arguments of a call; those that are the same in each request are read once."""
    if not field.args:
        return None

    def read(run: Run) -> Mapping[str, Any]:
        return get_argument_values(field, node, run.variables)

    if _has_variable(node) or not all(is_constant(arg.type) for arg in field.args.values()):
        return read
    try:
        constant = get_argument_values(field, node, VariableValues({}, {}))
    except GraphQLError:
        # Raised again by each call, with its path.
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
