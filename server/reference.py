"""The reference pages that are written from the code: access, errors, settings."""

from collections.abc import Iterator, Mapping

from graphql import GraphQLObjectType
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from strawberry.types.field import StrawberryField

from auth.errors import Unauthenticated
from auth.permissions import BUILT_IN_PERMISSIONS
from graph.errors.user_errors import refusal_classes
from graph.guards import guards_of
from graph.schema import Schema
from server import error_advice
from server.limit_settings import LimitSettings
from server.settings import FROM_FILES, PREFIX, Settings

_WRITTEN = "<!-- Written by `make docs`; a test keeps it true. -->\n"

# They come last, though Python has them first.
LIMITS = LimitSettings.model_fields

_ERROR_CODES = {
    "UNAUTHENTICATED": "The caller is not signed in. `reason` says why.",
    "FORBIDDEN": "The caller is known and lacks `required`. Do not retry.",
    "BAD_USER_INPUT": "An argument or a variable is not valid. The message says which.",
    "BAD_REQUEST": "The HTTP request is not a valid GraphQL request. The message says why.",
    "GRAPHQL_PARSE_FAILED": "The document has a syntax error.",
    "GRAPHQL_VALIDATION_FAILED": "The document does not match the schema.",
    "OPERATION_RESOLUTION_FAILURE": "The document has no operation named `operationName`, or it has"
    " several operations and `operationName` is missing.",
    "PERSISTED_QUERY_NOT_SUPPORTED": "Automatic persisted queries are not supported. Apollo Client"
    " then sends the whole document.",
    "METHOD_NOT_ALLOWED": "A mutation by GET, or a method other than GET and POST.",
    "NOT_ACCEPTABLE": "The server cannot send any media type that `Accept` lists.",
    "UNSUPPORTED_MEDIA_TYPE": "The body is not `application/json`.",
    "LIMIT_EXCEEDED": "The request exceeds a limit. `limit` names it, `maximum` is the highest"
    " allowed value, and `found` is the value of the request.",
    "RATE_LIMITED": "This network sent too many documents that the server has not cached. Try again"
    " after `retryAfter` seconds. Cached documents still run.",
    "INTROSPECTION_DISABLED": "Schema introspection is off. See `POSTERN_INTROSPECTION`.",
    "PERSISTED_QUERY_NOT_FOUND": "No trusted document has this `documentId`: the client and the"
    " server use different manifests.",
    "DOCUMENT_NOT_TRUSTED": "This server runs only the documents of its manifest.",
    "SERVICE_UNAVAILABLE": "The database cannot be reached, or this process does not have the"
    " current signing key. All sessions stay active.",
    "INTERNAL_SERVER_ERROR": "The server failed. The log line has the same `requestId`.",
}


def access_page(schema: Schema) -> str:
    """Who may ask for which field."""
    rows = [
        f"| `{type_name}.{field_name}` | {', '.join(guard.who for guard in guards)} |"
        for type_name, field_name, guards in _guarded_fields(schema)
    ]
    return _page(
        "Access",
        "Who may ask for which field. A field of another type is read by whoever may ask for the"
        " field that led to it.",
        _table("Field", "Who may ask", rows),
        "## Permissions",
        _table(
            "Permission",
            "What it allows",
            [f"| `{name}` | {text} |" for name, text in BUILT_IN_PERMISSIONS.items()],
        ),
    )


def errors_page() -> str:
    """Returns the page of all error codes."""
    refusals = refusal_classes()
    reasons = Unauthenticated.__subclasses__()
    return _page(
        "Errors",
        "All error codes and how a client handles them. Programs decide by the code. `message` is a"
        " text for users; its wording may change. If your client does not know a code, show its"
        " `message`.",
        "## Errors that the user can fix",
        "They are in `errors` of the payload, each with `code`, `message`, `field` and"
        " `retryAfter`.",
        _codes("Code", {c.code: _first_line(c) for c in refusals}, error_advice.REFUSALS),
        "## Errors that the client must handle",
        "They are in `errors` of the response. The code is `extensions.code`.",
        _codes("Code", _ERROR_CODES, error_advice.ERRORS),
        "## Reasons of UNAUTHENTICATED",
        "The reason is `extensions.reason`. The response also has a `WWW-Authenticate` header.",
        _codes("Reason", {r.reason: _first_line(r) for r in reasons}, error_advice.REASONS),
    )


def settings_page() -> str:
    """Every setting with its default."""
    rows = [
        f"| `{PREFIX}{name.upper()}` | {_default(field)} | {_meaning(name, field)} |"
        for name, field in sorted(Settings.model_fields.items(), key=lambda item: item[0] in LIMITS)
    ]
    return _page(
        "Settings",
        "Environment variables, also read from a file `.env` in the working directory. A name that"
        " begins with `POSTERN_` and is not listed here stops the start: it is misspelt.",
        "| Setting | Default | Meaning |\n|---|---|---|\n" + "\n".join(rows),
    )


def _guarded_fields(schema: Schema) -> Iterator[tuple[str, str, list]]:  # type: ignore[type-arg]
    types = schema._schema.type_map  # noqa: SLF001 - Strawberry has no public door to it
    roots = ["Query", "Mutation", "Subscription"]
    for name in [*roots, *sorted(set(types) - set(roots))]:
        type_ = types.get(name)
        if not isinstance(type_, GraphQLObjectType):
            continue
        for field_name, field in type_.fields.items():
            definition = field.extensions.get("strawberry-definition")
            if isinstance(definition, StrawberryField) and (guards := guards_of(definition)):
                yield name, field_name, guards


def _page(title: str, *blocks: str) -> str:
    return "\n\n".join([f"# {title}", _WRITTEN.rstrip(), *blocks]) + "\n"


def _table(left: str, right: str, rows: list[str]) -> str:
    return "\n".join([f"| {left} | {right} |", "|---|---|", *rows])


def _codes(title: str, meanings: Mapping[str, str], advice: Mapping[str, str]) -> str:
    rows = [f"| `{code}` | {text} | {advice[code]} |" for code, text in meanings.items()]
    return "\n".join([f"| {title} | Meaning | What to do |", "|---|---|---|", *rows])


def _first_line(cls: type) -> str:
    return (cls.__doc__ or "").strip().splitlines()[0]


def _default(field: FieldInfo) -> str:
    default = field.default
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    if isinstance(default, tuple):
        default = ",".join(default)
    return f"`{default}`" if str(default) else ""


def _meaning(name: str, field: FieldInfo) -> str:
    text = field.description or ""
    if name.upper() in FROM_FILES:
        text += f" Or the name of a file that holds it, as `{PREFIX}{name.upper()}_FILE`."
    return text
