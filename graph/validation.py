"""Whether a document fits the schema, by graphql-core's rules and Strawberry's."""

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

# Of what is wrong with a document, the first few tell enough.
MAX_DOCUMENT_ERRORS = 5
_STRAWBERRYS_RULES = (MaybeNullValidationRule, OneOfInputValidationRule)


def validate_document(
    schema: GraphQLSchema,
    document: DocumentNode,
    *,
    introspection: bool,
    suggestions: bool = True,
) -> list[GraphQLError]:
    """The errors of a document. Without introspection they do not suggest names of the schema."""
    if not introspection and validate(schema, document, [NoSchemaIntrospectionCustomRule]):
        code = {"code": "INTROSPECTION_DISABLED"}
        return [GraphQLError("This server does not tell its schema.", extensions=code)]
    hide = not (introspection and suggestions)
    errors = validate(
        schema, document, max_errors=MAX_DOCUMENT_ERRORS, hide_suggestions=hide
    ) or validate(schema, _with_operations_first(document), _STRAWBERRYS_RULES)
    for error in errors:
        # Said, because one about the declaration of a variable looks like one about its value.
        error.extensions = {"code": "GRAPHQL_VALIDATION_FAILED"}
    return errors


def _with_operations_first(document: DocumentNode) -> DocumentNode:
    # A rule of Strawberry's fails where a fragment uses a variable that is declared behind it.
    definitions = document.definitions
    first = sorted(definitions, key=lambda node: not isinstance(node, OperationDefinitionNode))
    return DocumentNode(definitions=tuple(first))
