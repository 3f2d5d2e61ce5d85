"""Limits for introspection, whose lists are long and have no pages."""

from collections.abc import Iterator, Mapping

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

from graph.documents.limits import exceeded, fragments_of, root_fields

# Twice as many as in the standard introspection query.
MAX_FIELDS = 400
# The standard query has nine: directives, their args, types, and six lists of a type.
MAX_LISTS = 12
MAX_TYPES = 5
# These lists must not be nested: the types refer to each other, so the reply grows exponentially.
_MEMBERS = frozenset({"fields", "inputFields", "interfaces", "possibleTypes"})
_LISTS = _MEMBERS | {"types", "directives", "args", "enumValues"}

Fragments = Mapping[str, FragmentDefinitionNode]


def check_introspection(
    document: DocumentNode, operation: OperationDefinitionNode, fields: int
) -> bool:
    """Returns whether the operation selects `__schema`: its reply is the same for every caller.

    `fields` is the number of fields of the operation with its fragments. Raises GraphQLError.
    """
    fragments = fragments_of(document)
    roots = list(root_fields(operation, fragments))
    names = [node.name.value for node in roots]
    if not {"__schema", "__type"} & set(names):
        return False
    if fields > MAX_FIELDS:
        message = f"The introspection query has {fields} fields"
        raise exceeded("introspection_fields", MAX_FIELDS, fields, message)
    _check_count(names, "__schema", 1)
    _check_count(names, "__type", MAX_TYPES)
    for node in roots:
        if node.name.value.startswith("__") and node.selection_set:
            _check_lists(node.selection_set, fragments)
    return "__schema" in names and _check_alone(names, operation)


def _check_count(names: list[str], name: str, maximum: int) -> None:
    found = names.count(name)
    if found > maximum:
        raise exceeded("introspection", maximum, found, f"The operation has {found} {name} fields")


def _check_alone(names: list[str], operation: OperationDefinitionNode) -> bool:
    others = len([name for name in names if name not in {"__schema", "__typename"}])
    found = others + len(operation.variable_definitions or ())
    if found:
        raise GraphQLError(
            "Select `__schema` in a separate operation without variables.",
            extensions={
                "code": "LIMIT_EXCEEDED",
                "limit": "introspection",
                "maximum": 0,
                "found": found,
            },
        )
    return True


def _check_lists(selections: SelectionSetNode, fragments: Fragments) -> None:
    found = 0
    for _, depth in _lists(selections, fragments, 0):
        found += 1
        if depth > 1:
            message = f"The introspection query nests {depth} lists"
            raise exceeded("introspection", 1, depth, message)
    if found > MAX_LISTS:
        message = f"The introspection query has {found} lists"
        raise exceeded("introspection_lists", MAX_LISTS, found, message)


def _lists(
    selections: SelectionSetNode, fragments: Fragments, depth: int
) -> Iterator[tuple[str, int]]:
    """Yields each list with its nesting depth: the number of member lists on the way to it."""
    for node in selections.selections:
        if isinstance(node, FragmentSpreadNode):
            yield from _lists(fragments[node.name.value].selection_set, fragments, depth)
        elif isinstance(node, InlineFragmentNode):
            yield from _lists(node.selection_set, fragments, depth)
        elif isinstance(node, FieldNode):
            name = node.name.value
            inside = depth + (name in _MEMBERS)
            if name in _LISTS:
                yield name, inside
            if node.selection_set:
                yield from _lists(node.selection_set, fragments, inside)
