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

from graph.compiled.reading import reached_definitions

# Of what is wrong with a document, the first few tell enough.
MAX_DOCUMENT_ERRORS = 5
_STRAWBERRYS_RULES = (MaybeNullValidationRule, OneOfInputValidationRule)


def validate_document(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    *,
    introspection: bool,
    suggestions: bool = True,
) -> list[GraphQLError]:
    """The errors of a document of which one operation runs.

    Without introspection they do not suggest names of the schema.
    """
    if not introspection and validate(schema, document, [NoSchemaIntrospectionCustomRule]):
        code = {"code": "INTROSPECTION_DISABLED"}
        return [GraphQLError("This server does not tell its schema.", extensions=code)]
    hide = not (introspection and suggestions)
    errors = validate(
        schema, document, max_errors=MAX_DOCUMENT_ERRORS, hide_suggestions=hide
    ) or _validate_as_strawberry(schema, document, operation)
    for error in errors:
        # Said, because one about the declaration of a variable looks like one about its value.
        error.extensions = {"code": "GRAPHQL_VALIDATION_FAILED"}
    return errors


def _validate_as_strawberry(
    schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode
) -> list[GraphQLError]:
    # A rule fails where a fragment uses a variable that the operation before it does not declare.
    definitions = tuple(reached_definitions(document, operation))
    return validate(schema, DocumentNode(definitions=definitions), _STRAWBERRYS_RULES)
