"""Validates documents with the rules of graphql-core and Strawberry."""

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    validate,
)
from graphql.validation import NoSchemaIntrospectionCustomRule
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from graph.compiled.usage import reached_definitions

MAX_DOCUMENT_ERRORS = 5
_STRAWBERRY_RULES = (MaybeNullValidationRule, OneOfInputValidationRule)


def validate_document(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    *,
    introspection: bool,
    suggestions: bool = True,
) -> list[GraphQLError]:
    """Returns the validation errors of a document.

    Without introspection, the errors do not suggest names of the schema.
    """
    if not introspection and validate(schema, document, [NoSchemaIntrospectionCustomRule]):
        code = {"code": "INTROSPECTION_DISABLED"}
        return [GraphQLError("Introspection is disabled on this server.", extensions=code)]
    hide = not (introspection and suggestions)
    errors = validate(
        schema, document, max_errors=MAX_DOCUMENT_ERRORS, hide_suggestions=hide
    ) or _validate_as_strawberry(schema, document, operation)
    for error in errors:
        # Marked here, because an error about the declaration of a variable looks like one about
        # its value.
        error.extensions = {"code": "GRAPHQL_VALIDATION_FAILED"}
    return errors


def _validate_as_strawberry(
    schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode
) -> list[GraphQLError]:
    # The rules raise where a fragment uses a variable that another operation does not declare, so
    # they get the requested operation only.
    definitions = tuple(reached_definitions(document, operation))
    return validate(schema, DocumentNode(definitions=definitions), _STRAWBERRY_RULES)
