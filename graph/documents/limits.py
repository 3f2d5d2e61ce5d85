"""How much one document may ask for: measured once, before anything that costs more than reading.

Each measure is linear in the length of the document: what a fragment holds is counted once, however
often and however deeply it is spread (Strawberry's own limiters count it anew at each spread, so
that 700 bytes keep them busy for minutes).
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
    """The most that one operation may have of each."""

    tokens: int = 1000
    depth: int = 20
    aliases: int = 30
    # Of a field or a fragment in the same selection set: comparing them all takes quadratic time.
    repeats: int = 20
    directives: int = 50
    # Validation compares each with each other one.
    fragments: int = 30
    root_fields: int = 20
    cost: int = 10_000
    list_input: int = 100
    # Names of mutations that check a secret, or spend a slow hash: one of them per operation.
    one_at_a_time: frozenset[str] = frozenset()


def exceeded(limit: str, maximum: int, found: int, told: str) -> GraphQLError:
    """The error that says which limit, its value and what was found."""
    return GraphQLError(
        f"{told}; at most {maximum} may be.",
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
    """Checks what needs no schema, before the document is validated. Raises GraphQLError."""
    fragments = fragments_of(document)
    _check("fragments", limits.fragments, len(fragments), "fragments")
    shapes: dict[str, _Shape] = {}
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode | FragmentDefinitionNode):
            # Validation refuses two of one name; until then neither may hide the other.
            _measure(definition, shapes.setdefault(_name(definition), _Shape()))
    whole = shapes.values()
    _check("aliases", limits.aliases, sum(s.aliases for s in whole), "aliases")
    _check("repeats", limits.repeats, sum(s.repeats for s in whole), "repeated fields and spreads")
    _check("directives", limits.directives, sum(s.directives for s in whole), "directives")
    longest = max((s.longest_list for s in whole), default=0)
    _check("list_input", limits.list_input, longest, "items in one list of its input")
    depth = max(_deepest(shapes), *(s.value_depth for s in whole), 0)
    if depth > limits.depth:
        raise exceeded("depth", limits.depth, depth, f"The document is {depth} levels deep")
    _check_root(operation, fragments, limits)


def check_variables(variables: Mapping[str, Any], limits: LimitPolicy) -> None:
    """Checks the lists in the variables of a request. Raises GraphQLError."""
    waiting: list[Any] = [variables]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            _check("list_input", limits.list_input, len(value), "items in one list of its input")
            waiting += value
        elif isinstance(value, dict):
            waiting += value.values()


def _check(limit: str, maximum: int, found: int, what: str) -> None:
    if found > maximum:
        raise exceeded(limit, maximum, found, f"The document has {found} {what}")


@dataclass(slots=True)
class _Shape:
    """What one definition holds itself, and which fragments it spreads at which depth."""

    aliases: int = 0
    repeats: int = 0
    directives: int = 0
    depth: int = 0
    longest_list: int = 0
    value_depth: int = 0
    spreads: list[tuple[str, int]] = field(default_factory=list)


def _measure(definition: Definition, shape: _Shape) -> None:
    _count_directives(definition.directives, shape)
    if isinstance(definition, OperationDefinitionNode):
        for variable in definition.variable_definitions or ():
            _count_directives(variable.directives, shape)
            _measure_values([variable.default_value], shape)
    waiting = [(definition.selection_set, 1)]
    while waiting:
        selection_set, depth = waiting.pop()
        shape.depth = max(shape.depth, depth)
        seen: set[tuple[str, str]] = set()
        for condition, selection in _flatten(selection_set):
            _count_selection(selection, condition, depth, shape, seen)
            if isinstance(selection, FieldNode) and selection.selection_set:
                waiting.append((selection.selection_set, depth + 1))


def _flatten(selection_set: SelectionSetNode) -> Iterator[tuple[str, SelectionNode]]:
    """The selections with the type that they apply to; inline fragments hold some more."""
    waiting = [("", selection_set)]
    while waiting:
        condition, selections = waiting.pop()
        for selection in selections.selections:
            yield condition, selection
            if isinstance(selection, InlineFragmentNode):
                on = selection.type_condition
                waiting.append((on.name.value if on else condition, selection.selection_set))


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
    waiting = [(value, 1) for value in values]
    while waiting:
        value, depth = waiting.pop()
        parts: Iterable[ValueNode] = ()
        if isinstance(value, ListValueNode):
            parts = value.values
            shape.longest_list = max(shape.longest_list, len(value.values))
        elif isinstance(value, ObjectValueNode):
            parts = [part.value for part in value.fields]
        waiting += [(part, depth + 1) for part in parts]
        shape.value_depth = max(shape.value_depth, depth)


def _deepest(shapes: Mapping[str, _Shape]) -> int:
    """The depth of the deepest definition, with the fragments that it spreads."""
    depths: dict[str, int] = {}
    try:
        order = list(TopologicalSorter(_spread_by(shapes)).static_order())
    except CycleError:
        # Validation says so.
        return 0
    for name in order:
        shape = shapes.get(name, _NOTHING)
        depths[name] = max(
            shape.depth, *(depth - 1 + depths[spread] for spread, depth in shape.spreads), 0
        )
    return max(depths.values(), default=0)


_NOTHING = _Shape()


def _spread_by(shapes: Mapping[str, _Shape]) -> dict[str, set[str]]:
    return {name: {spread for spread, _ in shape.spreads} for name, shape in shapes.items()}


def _name(definition: Definition) -> str:
    # Operations and fragments have names of their own kinds; neither kind holds a blank.
    name = definition.name.value if definition.name else ""
    return name if isinstance(definition, FragmentDefinitionNode) else f"operation {name}"


def fragments_of(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    """The fragments of a document, by name."""
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
    guesses = [name for name in names if name in limits.one_at_a_time]
    if len(guesses) > 1:
        told = f"The operation calls {' and '.join(sorted(set(guesses)))} {len(guesses)} times"
        raise exceeded("credentials", 1, len(guesses), told)


def root_fields(
    operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]
) -> Iterator[FieldNode]:
    """The fields of `Query` or `Mutation` that an operation has, in whichever fragments."""
    waiting, seen = [operation.selection_set], set()
    while waiting:
        for _, selection in _flatten(waiting.pop()):
            if isinstance(selection, FieldNode):
                yield selection
            elif isinstance(selection, FragmentSpreadNode):
                name = selection.name.value
                if name in fragments and name not in seen:
                    seen.add(name)
                    waiting.append(fragments[name].selection_set)
