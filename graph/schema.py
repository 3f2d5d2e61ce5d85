"""The schema: Postern's root fields and those of own code, joined and guarded."""

from collections.abc import Sequence
from datetime import datetime

import strawberry
from graphql import GraphQLError, GraphQLField
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.name_converter import NameConverter
from strawberry.schema_directive import StrawberrySchemaDirective
from strawberry.tools import merge_types
from strawberry.types import get_object_definition
from strawberry.types.execution import ExecutionContext
from strawberry.types.field import StrawberryField
from strawberry.types.scalar import ScalarDefinition

from auth.errors import RateLimited
from auth.policies import PermissionRegistry
from graph.accounts import AccountMutations
from graph.audit import AuditQueries
from graph.emails import EmailMutations
from graph.errors import Fails
from graph.guards import check_guards, show_directives
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

_NAMES = NameConverter()
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


class DuplicateField(Exception):
    """Two root types have a field of the same name, and only one of them would run."""


class UnsupportedSchema(Exception):
    """A schema of own code asks for what Postern's endpoint does not do."""


def guessing_mutations(schema: strawberry.Schema) -> frozenset[str]:
    """The mutations that answer RATE_LIMITED: they check a secret, or spend a slow hash."""
    mutation = schema._schema.mutation_type  # noqa: SLF001 - Strawberry has no public name for it
    if mutation is None:
        return frozenset()
    return frozenset(name for name, field in mutation.fields.items() if _is_rate_limited(field))


def _is_rate_limited(field: GraphQLField) -> bool:
    definition = field.extensions.get("strawberry-definition")
    return isinstance(definition, StrawberryField) and any(
        RateLimited in extension.refusals
        for extension in definition.extensions
        if isinstance(extension, Fails)
    )


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
) -> Schema:
    """Joins the root types.

    Raises DuplicateField, UnguardedField, UnknownPermission, GuardNotOutermost.
    """
    query = _root("Query", "What can be asked.", (*_QUERIES, *queries))
    mutation = _root("Mutation", "What can be done.", (*_MUTATIONS, *mutations))
    subscription = _root(
        "Subscription", "What can be followed.", (SessionSubscriptions, *subscriptions)
    )
    schema = Schema(
        query,
        mutation,
        subscription,
        config=StrawberryConfig(scalar_map=_SCALARS),
    )
    check_guards(schema, registry)
    _describe_directive_arguments(schema)
    return schema


def _root(name: str, description: str, parts: tuple[type, ...]) -> type:
    _check_no_duplicates(name, parts)
    for part in parts:
        for field in get_object_definition(part, strict=True).fields:
            # Before the schema is built, so that it knows the directives with their descriptions.
            show_directives(field)
    root = merge_types(name, parts)
    get_object_definition(root, strict=True).description = description
    return root


def _check_no_duplicates(root: str, parts: tuple[type, ...]) -> None:
    owners: dict[str, type] = {}
    for part in parts:
        for field in get_object_definition(part, strict=True).fields:
            name = _NAMES.from_field(field)
            owner = owners.setdefault(name, part)
            if owner is not part:
                raise DuplicateField(
                    f"{root}.{name} is a field of both {owner.__module__}.{owner.__qualname__} and"
                    f" {part.__module__}.{part.__qualname__}; rename one of them"
                )


def check_own_schema(schema: strawberry.Schema, registry: PermissionRegistry) -> None:
    """Holds a schema that own code has built to the rules of ours.

    Raises UnguardedField, UnknownPermission, GuardNotOutermost; UnsupportedSchema for extensions of
    the whole schema, which would not run. Those of a field do.
    """
    if schema.extensions:
        names = ", ".join(sorted(_name_of(extension) for extension in schema.extensions))
        raise UnsupportedSchema(f"{names}: Postern runs no extensions of a whole schema")
    check_guards(schema, registry)


def _name_of(extension: object) -> str:
    return extension.__name__ if isinstance(extension, type) else type(extension).__name__
