"""How much of the schema one operation may ask for. Its lists are long, and have no pages."""

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

# The standard introspection query has half as many.
MAX_FIELDS = 400
# It has nine: directives, their args, types, and six lists of a type.
MAX_LISTS = 12
MAX_TYPES = 5
# Of these lists none stands inside another: each type refers to others, and those to more.
_MEMBERS = frozenset({"fields", "inputFields", "interfaces", "possibleTypes"})
_LISTS = _MEMBERS | {"types", "directives", "args", "enumValues"}

Fragments = Mapping[str, FragmentDefinitionNode]


def check_introspection(
    document: DocumentNode, operation: OperationDefinitionNode, fields: int
) -> bool:
    """Whether the operation asks for the schema, and so has the same reply for every caller.

    `fields` is how many fields it has with its fragments. Raises GraphQLError.
    """
    fragments = fragments_of(document)
    asked = list(root_fields(operation, fragments))
    names = [node.name.value for node in asked]
    if not {"__schema", "__type"} & set(names):
        return False
    if fields > MAX_FIELDS:
        found = f"The operation asks the schema for {fields} fields"
        raise exceeded("introspection_fields", MAX_FIELDS, fields, found)
    _check_count(names, "__schema", 1)
    _check_count(names, "__type", MAX_TYPES)
    for node in asked:
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
            "Ask for `__schema` in an operation of its own, without variables.",
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
            raise exceeded(
                "introspection", 1, depth, f"The operation nests {depth} lists of the schema"
            )
    if found > MAX_LISTS:
        told = f"The operation asks for {found} lists of the schema"
        raise exceeded("introspection_lists", MAX_LISTS, found, told)


def _lists(
    selections: SelectionSetNode, fragments: Fragments, depth: int
) -> Iterator[tuple[str, int]]:
    """The lists, each with how many lists of members it is in, itself included."""
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
