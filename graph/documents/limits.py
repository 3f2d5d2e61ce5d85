"""Limits for documents: depth, aliases, directives and so on, checked before validation.

Each check takes time linear in the length of the document, because each fragment is measured once.
Strawberry's own limiters measure a fragment at each spread: 700 bytes keep them busy for minutes.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any

from graphql import (
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
    SelectionSetNode,
    ValueNode,
)

Definition = OperationDefinitionNode | FragmentDefinitionNode


@dataclass(frozen=True, slots=True)
class LimitPolicy:
    """The limits for one operation."""

    tokens: int = 1000
    depth: int = 20
    aliases: int = 30
    # Of a field or a fragment in the same selection set: validation compares each pair.
    repeats: int = 20
    directives: int = 50
    # Validation compares each pair.
    fragments: int = 30
    root_fields: int = 20
    cost: int = 10_000
    list_input: int = 100
    # Names of mutations that check a secret or compute a slow hash: one per operation.
    one_at_a_time: frozenset[str] = frozenset()


_ADVICE = {
    "tokens": "Split the document.",
    "cost": "Request fewer fields or smaller pages.",
    "list_input": "Send the items in several requests.",
    "credentials": "Send one operation for each.",
}


def exceeded(limit: str, maximum: int, found: int, message: str) -> GraphQLError:
    """Returns the error for an exceeded limit. `message` is the first half of a sentence."""
    advice = _ADVICE.get(limit, "Split the operation.")
    return GraphQLError(
        f"{message}, which exceeds the limit of {maximum}. {advice}",
        extensions={
            "code": "LIMIT_EXCEEDED",
            "limit": limit,
            "maximum": maximum,
            "found": found,
        },
    )


def check_shape(
    document: DocumentNode, operation: OperationDefinitionNode, limits: LimitPolicy
) -> None:
    """Checks the limits that need no schema. Raises GraphQLError."""
    fragments = fragments_of(document)
    _check("fragments", limits.fragments, len(fragments), "fragments")
    shapes: dict[str, _Shape] = {}
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode | FragmentDefinitionNode):
            # Validation rejects duplicate names. Until then, both definitions are counted.
            _measure(definition, shapes.setdefault(_name(definition), _Shape()))
    whole = shapes.values()
    _check("aliases", limits.aliases, sum(s.aliases for s in whole), "aliases")
    _check("repeats", limits.repeats, sum(s.repeats for s in whole), "repeated fields and spreads")
    _check("directives", limits.directives, sum(s.directives for s in whole), "directives")
    longest = max((s.longest_list for s in whole), default=0)
    _check("list_input", limits.list_input, longest, "items in one list of its input")
    depth = max(_deepest(shapes), *(s.value_depth for s in whole), 0)
    if depth > limits.depth:
        raise exceeded("depth", limits.depth, depth, f"The document has a depth of {depth}")
    _check_root(operation, fragments, limits)


def check_variables(variables: Mapping[str, Any], limits: LimitPolicy) -> None:
    """Checks the lists in the variables of a request. Raises GraphQLError."""
    pending: list[Any] = [variables]
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            _check("list_input", limits.list_input, len(value), "items in one list of its input")
            pending += value
        elif isinstance(value, dict):
            pending += value.values()


def _check(limit: str, maximum: int, found: int, what: str) -> None:
    if found > maximum:
        raise exceeded(limit, maximum, found, f"The document has {found} {what}")


@dataclass(slots=True)
class _Shape:
    """The measures of one definition, without the fragments that it spreads."""

    aliases: int = 0
    repeats: int = 0
    directives: int = 0
    depth: int = 0
    longest_list: int = 0
    value_depth: int = 0
    # Names of fragments, and the depth of each spread.
    spreads: list[tuple[str, int]] = field(default_factory=list)


def _measure(definition: Definition, shape: _Shape) -> None:
    _count_directives(definition.directives, shape)
    if isinstance(definition, OperationDefinitionNode):
        for variable in definition.variable_definitions or ():
            _count_directives(variable.directives, shape)
            _measure_values([variable.default_value], shape)
    pending = [(definition.selection_set, 1)]
    while pending:
        selection_set, depth = pending.pop()
        shape.depth = max(shape.depth, depth)
        seen: set[tuple[str, str]] = set()
        for condition, selection in _flatten(selection_set):
            _count_selection(selection, condition, depth, shape, seen)
            if isinstance(selection, FieldNode) and selection.selection_set:
                pending.append((selection.selection_set, depth + 1))


def _flatten(selection_set: SelectionSetNode) -> Iterator[tuple[str, SelectionNode]]:
    """Yields the selections, inline fragments flattened, each with its type condition."""
    pending = [("", selection_set)]
    while pending:
        condition, selections = pending.pop()
        for selection in selections.selections:
            yield condition, selection
            if isinstance(selection, InlineFragmentNode):
                on = selection.type_condition
                pending.append((on.name.value if on else condition, selection.selection_set))


def _count_selection(
    selection: SelectionNode, condition: str, depth: int, shape: _Shape, seen: set[tuple[str, str]]
) -> None:
    _count_directives(selection.directives, shape)
    key = ""
    if isinstance(selection, FieldNode):
        key = (selection.alias or selection.name).value
        shape.aliases += selection.alias is not None
        if selection.arguments:
            _measure_values([argument.value for argument in selection.arguments], shape)
    elif isinstance(selection, FragmentSpreadNode):
        key = f"...{selection.name.value}"
        shape.spreads.append((selection.name.value, depth))
    if key:
        shape.repeats += (condition, key) in seen
        seen.add((condition, key))


def _count_directives(directives: Iterable[DirectiveNode] | None, shape: _Shape) -> None:
    for directive in directives or ():
        shape.directives += 1
        _measure_values([argument.value for argument in directive.arguments or ()], shape)


def _measure_values(values: Iterable[ValueNode | None], shape: _Shape) -> None:
    pending = [(value, 1) for value in values]
    while pending:
        value, depth = pending.pop()
        parts: Iterable[ValueNode] = ()
        if isinstance(value, ListValueNode):
            parts = value.values
            shape.longest_list = max(shape.longest_list, len(value.values))
        elif isinstance(value, ObjectValueNode):
            parts = [part.value for part in value.fields]
        pending += [(part, depth + 1) for part in parts]
        shape.value_depth = max(shape.value_depth, depth)


def _deepest(shapes: Mapping[str, _Shape]) -> int:
    """Returns the depth of the deepest definition, with the fragments that it spreads."""
    depths: dict[str, int] = {}
    try:
        order = list(TopologicalSorter(_spread_by(shapes)).static_order())
    except CycleError:
        # Validation reports the cycle.
        return 0
    for name in order:
        shape = shapes.get(name, _EMPTY)
        depths[name] = max(
            shape.depth, *(depth - 1 + depths[spread] for spread, depth in shape.spreads), 0
        )
    return max(depths.values(), default=0)


_EMPTY = _Shape()


def _spread_by(shapes: Mapping[str, _Shape]) -> dict[str, set[str]]:
    return {name: {spread for spread, _ in shape.spreads} for name, shape in shapes.items()}


def _name(definition: Definition) -> str:
    # An operation and a fragment may have the same name. No name contains a space.
    name = definition.name.value if definition.name else ""
    return name if isinstance(definition, FragmentDefinitionNode) else f"operation {name}"


def fragments_of(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    """Returns the fragments of a document, by name."""
    return {
        definition.name.value: definition
        for definition in document.definitions
        if isinstance(definition, FragmentDefinitionNode)
    }


def _check_root(
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    limits: LimitPolicy,
) -> None:
    names = [selection.name.value for selection in root_fields(operation, fragments)]
    _check("root_fields", limits.root_fields, len(names), "root fields")
    if operation.operation is not OperationType.MUTATION:
        return
    found = [name for name in names if name in limits.one_at_a_time]
    if len(found) > 1:
        message = f"The operation calls {' and '.join(sorted(set(found)))} {len(found)} times"
        raise exceeded("credentials", 1, len(found), message)


def root_fields(
    operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]
) -> Iterator[FieldNode]:
    """Yields the root fields of an operation, those in fragments included."""
    pending, seen = [operation.selection_set], set()
    while pending:
        for _, selection in _flatten(pending.pop()):
            if isinstance(selection, FieldNode):
                yield selection
            elif isinstance(selection, FragmentSpreadNode):
                name = selection.name.value
                if name in fragments and name not in seen:
                    seen.add(name)
                    pending.append(fragments[name].selection_set)
