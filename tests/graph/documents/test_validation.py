"""Validation of documents."""

import pytest
from graphql import OperationDefinitionNode, parse

from auth.permissions import PermissionRegistry
from graph.documents.validation import validate_document
from graph.schema import build_schema

SCHEMA = build_schema(PermissionRegistry())._schema


def messages(text: str, *, introspection: bool = True) -> list[str]:
    document = parse(text)
    (operation,) = document.definitions
    assert isinstance(operation, OperationDefinitionNode)
    errors = validate_document(SCHEMA, document, operation, introspection=introspection)
    return [error.message for error in errors]


def test_field_of_an_item_on_a_connection_suggests_nodes() -> None:
    message = "Cannot query field 'id' on type 'SessionConnection'."
    text = "{ me { sessions { id } } }"
    assert messages(text) == [f"{message} Did you mean 'nodes {{ id }}'?"]
    assert messages(text, introspection=False) == [message]


@pytest.mark.parametrize(
    ("field", "suggestion"), [("node", " Did you mean 'nodes'?"), ("nothing", "")]
)
def test_unknown_field_on_a_connection_gets_the_usual_message(field: str, suggestion: str) -> None:
    (message,) = messages(f"{{ me {{ sessions {{ {field} }} }} }}")
    assert message == f"Cannot query field '{field}' on type 'SessionConnection'.{suggestion}"
