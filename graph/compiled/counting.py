"""Counts the fields of an operation with its fragments."""

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)


def count_fields(document: DocumentNode, operation: OperationDefinitionNode) -> int:
    """Returns the number of fields of a valid operation; a fragment counts at each spread."""
    fragments = {
        definition.name.value: definition
        for definition in document.definitions
        if isinstance(definition, FragmentDefinitionNode)
    }
    counted: dict[str, int] = {}

    def count_fragment(name: str) -> int:
        if name not in counted:
            counted[name] = count(fragments[name].selection_set)
        return counted[name]

    def count(selections: SelectionSetNode) -> int:
        fields = 0
        for node in selections.selections:
            if isinstance(node, FieldNode):
                fields += 1 + (count(node.selection_set) if node.selection_set else 0)
            elif isinstance(node, InlineFragmentNode):
                fields += count(node.selection_set)
            elif isinstance(node, FragmentSpreadNode):
                fields += count_fragment(node.name.value)
        return fields

    return count(operation.selection_set)
