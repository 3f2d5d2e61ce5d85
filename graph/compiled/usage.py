"""Finds the fragments, directives and switch variables that an operation uses."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from graphql import (
    DirectiveNode,
    DocumentNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    OperationDefinitionNode,
    VariableNode,
    Visitor,
    visit,
)

_SWITCHES = {"skip", "include"}


@dataclass(frozen=True, slots=True)
class Usage:
    """The parts of an operation that decide whether and how it is compiled."""

    # The variables of `@skip` and `@include`.
    switches: tuple[str, ...]
    # Whether there are other directives, or fragments with arguments.
    has_unknown: bool


Definition = OperationDefinitionNode | FragmentDefinitionNode


def read_usage(document: DocumentNode, operation: OperationDefinitionNode) -> Usage:
    """Returns the usage of an operation and the fragments that it reaches."""
    reader, _ = _read(document, operation)
    return Usage(tuple(reader.switches), reader.has_unknown)


def reached_definitions(
    document: DocumentNode, operation: OperationDefinitionNode
) -> Sequence[Definition]:
    """Returns the operation and the fragments that it reaches. The document must be valid."""
    _, reached = _read(document, operation)
    return reached


def _read(
    document: DocumentNode, operation: OperationDefinitionNode
) -> tuple["_Reader", list[Definition]]:
    fragments = {
        definition.name.value: definition
        for definition in document.definitions
        if isinstance(definition, FragmentDefinitionNode)
    }
    reader = _Reader()
    reached: list[Definition] = [operation]
    visit(operation, reader)
    while reader.spreads:
        fragment = fragments.pop(reader.spreads.pop(), None)
        if fragment is not None:
            reached.append(fragment)
            visit(fragment, reader)
    return reader, reached


class _Reader(Visitor):
    """Collects directives, the variables in them, and fragment spreads."""

    def __init__(self) -> None:
        super().__init__()
        # An ordered set.
        self.switches: dict[str, None] = {}
        self.spreads: list[str] = []
        self.has_unknown = False
        self._depth = 0

    def enter_directive(self, node: DirectiveNode, *_: Any) -> None:
        self._depth += 1
        self.has_unknown = self.has_unknown or node.name.value not in _SWITCHES

    def leave_directive(self, _node: DirectiveNode, *_: Any) -> None:
        self._depth -= 1

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        if self._depth:
            self.switches[node.name.value] = None

    def enter_fragment_spread(self, node: FragmentSpreadNode, *_: Any) -> None:
        self.spreads.append(node.name.value)
        self.has_unknown = self.has_unknown or bool(getattr(node, "arguments", None))

    def enter_fragment_definition(self, node: FragmentDefinitionNode, *_: Any) -> None:
        self.has_unknown = self.has_unknown or bool(node.variable_definitions)
