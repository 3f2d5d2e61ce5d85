"""Query cost: an estimate of the number of fields in the reply.

A field of a page counts once per entry: `first` or `last` entries, or a default page. A list
without pages counts as a few entries.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLArgument,
    GraphQLField,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLOutputType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
)

from graph.documents.limits import fragments_of

# The assumed number of entries of a page without `first` and `last`.
ASSUMED_PAGE = 50
# The assumed number of entries of a list without pages. These lists are short.
ASSUMED_LIST = 10

_PAGE_ARGUMENTS = ("first", "last")


class CostMeter:
    """Measures the cost of one operation of a valid document."""

    def __init__(
        self, schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode
    ) -> None:
        self._schema = schema
        self._operation = operation
        self._fragments = fragments_of(document)
        self._defaults = {
            definition.variable.name.value: _constant(definition.default_value)
            for definition in operation.variable_definitions or ()
        }
        self._size_variables: set[str] = set()
        self.measure({})
        # The variables with page sizes. The cost of a request depends on no other variable.
        self.size_variables = tuple(sorted(self._size_variables))

    def sizes(self, variables: Mapping[str, Any]) -> tuple[int | None, ...]:
        """Returns the values of the size variables. They determine the cost."""
        return tuple(self._given(name, variables) for name in self.size_variables)

    def measure(self, variables: Mapping[str, Any]) -> int:
        """Returns the cost with these variables."""
        root = self._schema.get_root_type(self._operation.operation)
        assert root
        measurement = _Measurement(self, variables, {})
        return measurement.selection(root, self._operation.selection_set).times(ASSUMED_LIST)

    def field(self, parent: Any, node: FieldNode) -> GraphQLField | None:
        """Returns the selected field; None for introspection fields, which are cheap."""
        name = node.name.value
        return None if name.startswith("__") else self._schema.get_field(parent, name)

    def fragment(self, name: str) -> FragmentDefinitionNode:
        """Returns the fragment with this name."""
        return self._fragments[name]

    def type_named(self, name: str) -> GraphQLNamedType:
        """Returns the type with this name."""
        return self._schema.type_map[name]

    def size(self, value: ValueNode, variables: Mapping[str, Any]) -> int | None:
        """Returns the page size in an argument; None if it has none."""
        if not isinstance(value, VariableNode):
            return _constant(value)
        name = value.name.value
        self._size_variables.add(name)
        return self._given(name, variables)

    def _given(self, name: str, variables: Mapping[str, Any]) -> int | None:
        given = variables.get(name, self._defaults.get(name))
        if given is None or not isinstance(given, int | float):
            return None
        # `Int` accepts 100.0 as 100. Execution rejects numbers outside the range of `Int`.
        return int(given) if abs(given) < 2**31 else None


class _Cost(NamedTuple):
    """The cost of a selection: a fixed part, and a part per entry of the enclosing page."""

    once: int
    each: int

    def times(self, entries: int) -> int:
        return self.once + entries * self.each


@dataclass(frozen=True, slots=True)
class _Measurement:
    meter: CostMeter
    variables: Mapping[str, Any]
    fragments: dict[str, _Cost]

    def selection(self, parent: GraphQLNamedType, selections: SelectionSetNode) -> _Cost:
        once = each = 0
        for node in selections.selections:
            match node:
                case FieldNode():
                    cost = self._field(parent, node)
                case InlineFragmentNode(type_condition=None):
                    cost = self.selection(parent, node.selection_set)
                case InlineFragmentNode(type_condition=on) if on:
                    cost = self.selection(self.meter.type_named(on.name.value), node.selection_set)
                case FragmentSpreadNode():
                    cost = self._fragment(node.name.value)
                case _:
                    continue
            once, each = once + cost.once, each + cost.each
        return _Cost(once, each)

    def _fragment(self, name: str) -> _Cost:
        if name not in self.fragments:
            fragment = self.meter.fragment(name)
            on = self.meter.type_named(fragment.type_condition.name.value)
            self.fragments[name] = self.selection(on, fragment.selection_set)
        return self.fragments[name]

    def _field(self, parent: GraphQLNamedType, node: FieldNode) -> _Cost:
        field = self.meter.field(parent, node)
        if field is None or node.selection_set is None:
            return _Cost(1, 0)
        inner = self.selection(get_named_type(field.type), node.selection_set)
        size = self._page_size(field, node)
        if not _is_list(field.type):
            return _Cost(1 + inner.times(ASSUMED_LIST if size is None else size), 0)
        if size is None:
            return _Cost(1, inner.times(ASSUMED_LIST))
        return _Cost(1 + size * inner.times(ASSUMED_LIST), 0)

    def _page_size(self, field: GraphQLField, node: FieldNode) -> int | None:
        """Returns the larger of `first` and `last`; None if the field has no pages.

        A resolver may use either.
        """
        given = {argument.name.value: argument.value for argument in node.arguments or ()}
        names = [name for name in _PAGE_ARGUMENTS if name in field.args]
        if not names:
            return None
        sizes = [self._size(field.args[name], given.get(name)) for name in names]
        return max(max([size for size in sizes if size is not None], default=ASSUMED_PAGE), 1)

    def _size(self, argument: GraphQLArgument, value: ValueNode | None) -> int | None:
        size = None if value is None else self.meter.size(value, self.variables)
        default = argument.default_value
        return default if size is None and isinstance(default, int) else size


def _constant(value: ValueNode | None) -> int | None:
    return int(value.value) if isinstance(value, IntValueNode) else None


def _is_list(type_: GraphQLOutputType) -> bool:
    if isinstance(type_, GraphQLNonNull):
        type_ = type_.of_type
    return isinstance(type_, GraphQLList)
