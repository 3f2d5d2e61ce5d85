"""Parses documents, and finds the requested operation in them."""

from graphql import DocumentNode, GraphQLError, OperationDefinitionNode, parse

from graph.documents.lexing import count_tokens
from graph.documents.limits import exceeded, fragments_of, root_fields
from graph.errors.graphql_errors import NO_SUCH_OPERATION


def parse_document(text: str, max_tokens: int) -> DocumentNode:
    """Parses a document. Raises GraphQLError."""
    # Counting takes a fraction of the time of parsing, and stops at the limit.
    found = count_tokens(text, max_tokens + 1)
    if found > max_tokens:
        raise exceeded("tokens", max_tokens, found, f"The document has at least {found} tokens")
    return parse(text, max_tokens=max_tokens)


def operations_of(document: DocumentNode) -> list[OperationDefinitionNode]:
    """Returns the operations of a document."""
    definitions = document.definitions
    return [node for node in definitions if isinstance(node, OperationDefinitionNode)]


def get_operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    """Returns the operation with this name, or the only one. Raises GraphQLError."""
    operations = operations_of(document)
    if name is not None:
        operations = [node for node in operations if node.name and node.name.value == name]
    elif len(operations) > 1:
        raise _unresolved("The document has several operations. Choose one with `operationName`.")
    if not operations:
        raise _unresolved(NO_SUCH_OPERATION)
    return operations[0]


def root_names(document: DocumentNode, operation: OperationDefinitionNode) -> frozenset[str]:
    """Returns the names of the root fields of an operation."""
    nodes = root_fields(operation, fragments_of(document))
    return frozenset(node.name.value for node in nodes)


def _unresolved(message: str) -> GraphQLError:
    return GraphQLError(message, extensions={"code": "OPERATION_RESOLUTION_FAILURE"})
