"""Creates the GraphQL endpoints (HTTP and WebSocket) with the policies of the settings."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import strawberry

from auth.wiring import Auth
from graph.cookies import CookiePolicy
from graph.documents.limits import LimitPolicy
from graph.documents.operations import OperationPolicy, Operations
from graph.documents.trusted_documents import InvalidManifest
from graph.explorer.page import ClosedExplorer, Explorer
from graph.http.endpoint import GraphQLEndpoint, RequestPolicy
from graph.schema import check_custom_schema, secret_checking_mutations
from graph.socket.channel import SocketPolicy
from graph.socket.endpoint import GraphQLSocket
from server import development
from server.limit_settings import Executor
from server.settings import ConfigurationError, Settings, Switch
from server.trusted_manifest import read_trusted_documents

# No other path of Postern ends in /graphql, so a custom schema cannot hide one.
_PATH = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+/graphql")


@dataclass(frozen=True, slots=True)
class GraphQLMount:
    """The HTTP and WebSocket applications of one schema, with its operations."""

    operations: Operations
    endpoint: GraphQLEndpoint
    socket: GraphQLSocket


def mount(settings: Settings, auth: Auth, schema: strawberry.Schema) -> GraphQLMount:
    """Creates the endpoints of a schema. Raises ConfigurationError for invalid documents."""
    operations = build_operations(settings, schema)
    cookies = CookiePolicy(
        secure=settings.base_url.startswith("https://"),
        allowed_origins=settings.own_origins,
        port=urlsplit(settings.base_url).port,
    )
    requests = RequestPolicy(
        body_bytes=settings.max_body_bytes, seconds=settings.max_operation_seconds
    )
    sockets = SocketPolicy(
        allowed_origins=settings.own_origins,
        per_address=settings.sockets_per_address,
    )
    endpoint = GraphQLEndpoint(operations, auth, cookies, requests, _explorer(settings))
    socket = GraphQLSocket(operations, auth, cookies, sockets, endpoint.unfinished)
    return GraphQLMount(operations, endpoint, socket)


def mount_custom(
    settings: Settings, auth: Auth, schemas: Mapping[str, strawberry.Schema]
) -> dict[str, GraphQLMount]:
    """Creates the endpoints of custom schemas, by path.

    Raises ConfigurationError, UnguardedField, UnknownPermission, UnsupportedSchema.
    """
    if schemas and settings.trusted_documents_only is Switch.ON:
        # The manifest is for Postern's schema. The custom schemas would accept every document.
        raise ConfigurationError(
            ["POSTERN_TRUSTED_DOCUMENTS_ONLY=on: custom schemas have no manifest. Turn it off."]
        )
    # The explorer and the manifest are for Postern's schema only.
    settings = settings.model_copy(update={"trusted_documents": None, "explorer": Switch.OFF})
    for path, schema in schemas.items():
        if not _PATH.fullmatch(path):
            raise ConfigurationError(
                [f"{path!r}: the path of a custom schema must look like /notes/graphql."]
            )
        check_custom_schema(schema, auth.permissions)
    return {path: mount(settings, auth, schema) for path, schema in schemas.items()}


def build_operations(settings: Settings, schema: strawberry.Schema) -> Operations:
    """Returns the operations of a schema, with the policy of the settings.

    Raises ConfigurationError for invalid trusted documents.
    """
    try:
        return Operations(
            schema,
            OperationPolicy(
                introspection=settings.allows_introspection,
                compiled=settings.executor is Executor.COMPILED,
                trusted=read_trusted_documents(settings),
                limits=_limits(settings, secret_checking_mutations(schema)),
            ),
        )
    except InvalidManifest as error:
        raise ConfigurationError([f"POSTERN_TRUSTED_DOCUMENTS: {error}"]) from None


def _limits(settings: Settings, one_at_a_time: frozenset[str]) -> LimitPolicy:
    return LimitPolicy(
        tokens=settings.max_tokens,
        depth=settings.max_depth,
        aliases=settings.max_aliases,
        repeats=settings.max_repeats,
        directives=settings.max_directives,
        fragments=settings.max_fragments,
        root_fields=settings.max_root_fields,
        cost=settings.max_cost,
        list_input=settings.max_list_input,
        one_at_a_time=one_at_a_time,
    )


def _explorer(settings: Settings) -> Explorer | None:
    if not settings.shows_explorer:
        return None
    if settings.trusted_documents_only is Switch.ON:
        return ClosedExplorer()
    if settings.in_development:
        username, password = development.ALICE, development.ALICE_PASSWORD
    else:
        username = password = ""
    return Explorer(
        username=username,
        password=password,
        schema_needs_account=not settings.allows_introspection,
    )
