"""The schema: the root fields of Postern and of custom resolvers, merged and checked."""

from collections.abc import Sequence
from datetime import datetime

import strawberry
from graphql import GraphQLField
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.name_converter import NameConverter
from strawberry.tools import merge_types
from strawberry.types import get_object_definition
from strawberry.types.field import StrawberryField
from strawberry.types.scalar import ScalarDefinition

from auth.errors import RateLimited
from auth.permissions import PermissionRegistry
from graph.account_deletion import AccountDeletionMutations
from graph.account_export import AccountExportMutations
from graph.audit import AuditQueries
from graph.compiled.compilable import ignore_errors
from graph.descriptions import add_descriptions, describe_page_info
from graph.email_change import EmailChangeMutations
from graph.email_verification import EmailVerificationMutations
from graph.errors.user_errors import Fails
from graph.federation import unguarded_federation_fields
from graph.guards import UnguardedField, check_guards, show_directives
from graph.instants import DATE_TIME
from graph.invitations import InvitationMutations, InvitationQueries
from graph.login import LoginMutations
from graph.logout import LogoutMutations
from graph.password_change import PasswordChangeMutations
from graph.password_reset import PasswordResetMutations
from graph.profile import ProfileMutations
from graph.refresh import RefreshMutations
from graph.registration import RegistrationMutations
from graph.role_edits import RoleMutations
from graph.roles import RoleQueries
from graph.session_events import SessionSubscriptions
from graph.sessions import SessionMutations
from graph.user_access import UserAccessMutations
from graph.user_edits import UserEditMutations
from graph.users import UserQueries

_QUERIES = (UserQueries, RoleQueries, InvitationQueries, AuditQueries)
_MUTATIONS = (
    RegistrationMutations,
    LoginMutations,
    RefreshMutations,
    LogoutMutations,
    SessionMutations,
    ProfileMutations,
    AccountExportMutations,
    AccountDeletionMutations,
    PasswordChangeMutations,
    PasswordResetMutations,
    EmailVerificationMutations,
    EmailChangeMutations,
    UserEditMutations,
    UserAccessMutations,
    InvitationMutations,
    RoleMutations,
)

_NAMES = NameConverter()
_SCALARS: dict[object, ScalarDefinition] = {datetime: DATE_TIME}


class Schema(strawberry.Schema):
    """Strawberry's schema, but without its error log: `graph/errors/` logs internal errors only.

    Strawberry would log each denial and each misspelt field with a traceback and the text of the
    document, which may contain a password.
    """

    process_errors = ignore_errors


class DuplicateField(Exception):
    """Two root types have a field of the same name, so only one of them would run."""


class UnsupportedSchema(Exception):
    """A custom schema uses an option that Postern does not support."""


def secret_checking_mutations(schema: strawberry.Schema) -> frozenset[str]:
    """Returns the rate-limited mutations, which check a secret or compute a password hash."""
    mutation = schema._schema.mutation_type  # noqa: SLF001 - Strawberry has no public name for it
    if mutation is None:
        return frozenset()
    return frozenset(name for name, field in mutation.fields.items() if _is_rate_limited(field))


def _is_rate_limited(field: GraphQLField) -> bool:
    definition = field.extensions.get("strawberry-definition")
    return isinstance(definition, StrawberryField) and any(
        RateLimited in extension.refusals and not extension.repeatable
        for extension in definition.extensions
        if isinstance(extension, Fails)
    )


def build_schema(
    registry: PermissionRegistry,
    *,
    queries: Sequence[type] = (),
    mutations: Sequence[type] = (),
    subscriptions: Sequence[type] = (),
) -> Schema:
    """Merges the root types of Postern with custom ones.

    Raises DuplicateField, UnguardedField, UnknownPermission, GuardNotOutermost; TypeError for
    arguments that are not lists of Strawberry types.
    """
    for argument, types in (
        ("queries", queries),
        ("mutations", mutations),
        ("subscriptions", subscriptions),
    ):
        _check_types(argument, types)
    query = _root("Query", "The queries of the API.", (*_QUERIES, *queries))
    mutation = _root("Mutation", "The mutations of the API.", (*_MUTATIONS, *mutations))
    subscription = _root(
        "Subscription", "The subscriptions of the API.", (SessionSubscriptions, *subscriptions)
    )
    schema = Schema(
        query,
        mutation,
        subscription,
        config=StrawberryConfig(scalar_map=_SCALARS),
    )
    check_guards(schema, registry)
    add_descriptions(schema)
    describe_page_info(schema)
    return schema


def _check_types(argument: str, types: object) -> None:
    if isinstance(types, type):
        raise TypeError(f"{argument} must be a list of classes: pass {argument}=[{types.__name__}]")
    if isinstance(types, str) or not isinstance(types, Sequence):
        raise TypeError(f"{argument} must be a list of classes, not {type(types).__name__}")
    for part in types:
        if not isinstance(part, type):
            name = type(part).__name__
            raise TypeError(
                f"{argument} must be a list of classes, but has an instance of {name}. Pass the"
                f" class: {argument}=[{name}]"
            )
        if get_object_definition(part) is None:
            raise TypeError(
                f"{argument}: {part.__name__} is not a Strawberry type. Decorate it with"
                " @strawberry.type"
            )


def _root(name: str, description: str, parts: tuple[type, ...]) -> type:
    _check_no_duplicates(name, parts)
    for part in parts:
        for field in get_object_definition(part, strict=True).fields:
            # Strawberry collects the directives when it builds the schema.
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
                    f" {part.__module__}.{part.__qualname__}. Rename one of them."
                )


def check_custom_schema(schema: strawberry.Schema, registry: PermissionRegistry) -> None:
    """Checks a custom schema by the rules of Postern's own, and adds its descriptions.

    Raises UnguardedField, UnknownPermission, GuardNotOutermost, and UnsupportedSchema for options
    that Postern cannot follow.
    """
    _check_options(schema.config)
    _check_federation(schema)
    check_guards(schema, registry)
    add_descriptions(schema)


def _check_options(config: StrawberryConfig) -> None:
    if config.enable_experimental_incremental_execution:
        raise UnsupportedSchema(
            "StrawberryConfig(enable_experimental_incremental_execution=True): Postern does not"
            " support @defer and @stream. Remove the option."
        )
    if config.batching_config is not None:
        raise UnsupportedSchema(
            "StrawberryConfig(batching_config=...): Postern runs one operation per request."
            " Remove the option, and send each operation in its own request."
        )


def _check_federation(schema: strawberry.Schema) -> None:
    unguarded = unguarded_federation_fields(schema)
    if unguarded:
        raise UnguardedField(
            f"{', '.join(unguarded)}: no permission class. Build the schema with"
            " postern.FederationSchema(..., federation_permission_classes=[...]); [Public] allows"
            " all callers."
        )
