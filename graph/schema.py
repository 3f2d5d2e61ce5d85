"""The schema: Postern's root fields and those of own code, joined and guarded."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

import strawberry
from graphql import DocumentNode, GraphQLError, OperationDefinitionNode
from strawberry.extensions import DisableIntrospection, MaxTokensLimiter, SchemaExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.schema_directive import StrawberrySchemaDirective
from strawberry.tools import merge_types
from strawberry.types.execution import ExecutionContext
from strawberry.types.scalar import ScalarDefinition

from auth.policies import PermissionRegistry
from graph.accounts import AccountMutations
from graph.audit import AuditQueries
from graph.emails import EmailMutations
from graph.guards import prepare_guards
from graph.instants import DATE_TIME
from graph.invitations import InvitationMutations, InvitationQueries
from graph.login import LoginMutations
from graph.operators import OperatorMutations
from graph.passwords import PasswordMutations
from graph.role_edits import RoleMutations
from graph.roles import RoleQueries
from graph.session_events import SessionSubscriptions
from graph.sessions import SessionMutations
from graph.user_edits import UserEditMutations
from graph.users import UserQueries

# The standard introspection query has about 300 tokens; validation is quadratic in places.
MAX_TOKENS = 1000

_QUERIES = (UserQueries, RoleQueries, InvitationQueries, AuditQueries)
_MUTATIONS = (
    AccountMutations,
    LoginMutations,
    SessionMutations,
    PasswordMutations,
    EmailMutations,
    OperatorMutations,
    UserEditMutations,
    InvitationMutations,
    RoleMutations,
)

_SCALARS: dict[object, ScalarDefinition] = {datetime: DATE_TIME}


class Schema(strawberry.Schema):
    """Strawberry's schema, which logs nothing by itself: `graph/errors.py` logs faults only.

    Strawberry would log every denial and every misspelt field with a traceback and the text of the
    document, and with it any password that was written there.
    """

    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        """Leaves the errors to whoever formats the reply."""


class OneOperation(SchemaExtension):
    """Refuses a document with several operations when none is named."""

    def on_validate(self) -> Iterator[None]:
        """Adds the error before the document is validated."""
        context = self.execution_context
        # The public `operation_name` falls back to the first operation, which is the guess.
        named = context._provided_operation_name is not None  # noqa: SLF001
        if not named and _count_operations(context.graphql_document) > 1:
            context.pre_execution_errors = [
                GraphQLError(
                    "The document has several operations: name one in `operationName`.",
                    extensions={"code": "OPERATION_RESOLUTION_FAILURE"},
                )
            ]
        yield


def _count_operations(document: DocumentNode | None) -> int:
    definitions = document.definitions if document else ()
    return sum(isinstance(definition, OperationDefinitionNode) for definition in definitions)


def _describe_directive_arguments(schema: Schema) -> None:
    # Strawberry reads the descriptions and does not pass them on.
    for directive in schema._schema.directives:  # noqa: SLF001
        definition = directive.extensions.get("strawberry-definition")
        if isinstance(definition, StrawberrySchemaDirective):
            for field, argument in zip(definition.fields, directive.args.values(), strict=True):
                argument.description = field.description


def build_schema(
    registry: PermissionRegistry,
    *,
    queries: Sequence[type] = (),
    mutations: Sequence[type] = (),
    subscriptions: Sequence[type] = (),
    introspection: bool = True,
) -> Schema:
    """Joins the root types. Raises UnguardedField, UnknownPermission."""
    query = merge_types("Query", (*_QUERIES, *queries))
    mutation = merge_types("Mutation", (*_MUTATIONS, *mutations))
    subscription = merge_types("Subscription", (SessionSubscriptions, *subscriptions))
    prepare_guards([query, mutation, subscription], registry)
    extensions: list[type[SchemaExtension] | Callable[[], SchemaExtension]] = [
        lambda: MaxTokensLimiter(max_token_count=MAX_TOKENS),
        OneOperation,
    ]
    if not introspection:
        extensions.append(DisableIntrospection)
    schema = Schema(
        query,
        mutation,
        subscription,
        extensions=extensions,
        config=StrawberryConfig(disable_field_suggestions=not introspection, scalar_map=_SCALARS),
    )
    _describe_directive_arguments(schema)
    return schema
