"""How many fields an operation has when its fragments stand where they are spread."""

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
    """The number, of a valid document; a fragment is looked through once."""
    fragments = {
        definition.name.value: definition
        for definition in document.definitions
        if isinstance(definition, FragmentDefinitionNode)
    }
    known: dict[str, int] = {}

    def count_fragment(name: str) -> int:
        if name not in known:
            known[name] = count(fragments[name].selection_set)
        return known[name]

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
