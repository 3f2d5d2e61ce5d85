"""Validates documents with the rules of graphql-core and Strawberry."""

from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    get_named_type,
    validate,
)
from graphql.validation import (
    FieldsOnCorrectTypeRule,
    NoSchemaIntrospectionCustomRule,
    specified_rules,
)
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from graph.compiled.usage import reached_definitions

MAX_DOCUMENT_ERRORS = 5
_STRAWBERRY_RULES = (MaybeNullValidationRule, OneOfInputValidationRule)


class _FieldsOnCorrectType(FieldsOnCorrectTypeRule):
    """Suggests `nodes { field }` for a field that only the items of a connection have."""

    def enter_field(self, node: FieldNode, *args: Any) -> None:
        if self.context.get_field_def() is None and not self.context.hide_suggestions:
            name, parent = node.name.value, self.context.get_parent_type()
            if _has_nodes_with(parent, name):
                message = f"Cannot query field '{name}' on type '{parent}'."
                hint = f"Did you mean 'nodes {{ {name} }}'?"
                self.report_error(GraphQLError(f"{message} {hint}", node))
                return
        super().enter_field(node, *args)


def _has_nodes_with(type_: object, field: str) -> bool:
    if not isinstance(type_, GraphQLObjectType) or "nodes" not in type_.fields:
        return False
    return field in getattr(get_named_type(type_.fields["nodes"].type), "fields", ())


_GRAPHQL_RULES = tuple(
    _FieldsOnCorrectType if rule is FieldsOnCorrectTypeRule else rule for rule in specified_rules
)


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
        schema, document, _GRAPHQL_RULES, max_errors=MAX_DOCUMENT_ERRORS, hide_suggestions=hide
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
