"""How failures look in GraphQL.

A *refusal* (a person can put it right) is data: `errors` of a payload. A *denial* or a broken
request (a program must act) is a GraphQL error with `extensions.code`. A *fault* (we must put it
right) is masked, and found again in the log by its request id.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any

import strawberry
import structlog
from graphql import GraphQLError, GraphQLSyntaxError, VariableDefinitionNode, print_ast
from strawberry.extensions import FieldExtension
from strawberry.schema_directive import Location
from strawberry.types.base import StrawberryOptional
from strawberry.types.field import StrawberryField
from strawberry.utils.str_converters import to_camel_case

from auth.errors import Denial, Forbidden, RateLimited, Refusal, Refusals, Unauthenticated
from graph.error_origins import denying_permission, is_completion_error
from models.database import DatabaseUnavailable

log = structlog.get_logger("postern.graph")

RETRY_AFTER_UNAVAILABLE_SECONDS = 2
NO_SUCH_OPERATION = "The document has no operation of this name."


def refusal_classes() -> list[type[Refusal]]:
    """Every way to refuse, by its code."""
    return sorted(Refusal.__subclasses__(), key=lambda cls: cls.code)


def _describe(cls: type[Refusal]) -> str:
    return (cls.__doc__ or "").strip()


if TYPE_CHECKING:

    class UserErrorCode(Enum):
        """Why a mutation refused."""

else:
    # The classes of `auth/errors/` are the one list; their docstrings describe the values.
    UserErrorCode = strawberry.enum(
        Enum(
            "UserErrorCode",
            {
                cls.code: strawberry.enum_value(cls.code, description=_describe(cls))
                for cls in refusal_classes()
            },
        ),
        description="Why a mutation refused.",
    )


@strawberry.type
class UserError:
    """One thing that a person can put right."""

    code: UserErrorCode = strawberry.field(description="Stable; programs decide on this.")
    message: str = strawberry.field(description="One sentence for people; its wording may change.")
    field: list[str] | None = strawberry.field(
        description='Path of the input at fault, e.g. `["input", "password"]`;'
        " null when it is the whole."
    )
    retry_after: int | None = strawberry.field(
        description="Seconds to wait; set for `RATE_LIMITED` only."
    )

    @classmethod
    def of(cls, refusal: Refusal) -> "UserError":
        """Shows a refusal."""
        return cls(
            code=UserErrorCode[refusal.code],
            message=refusal.message,
            field=["input", to_camel_case(refusal.field)] if refusal.field else None,
            retry_after=(
                int(refusal.retry_after.total_seconds())
                if isinstance(refusal, RateLimited)
                else None
            ),
        )


def errors_field() -> Any:
    """The `errors` of a payload: empty on success."""
    return strawberry.field(description="What went wrong; empty on success.", default_factory=list)


@strawberry.schema_directive(locations=[Location.FIELD_DEFINITION], name="fails")
class FailsDirective:
    """Codes that `errors` of the payload may hold."""

    with_: list[UserErrorCode] = strawberry.field(
        name="with", description="The codes, each of `UserErrorCode`."
    )


class Fails(FieldExtension):
    """Turns exactly these refusals into `errors` of the payload, and says so in the SDL.

    Any other refusal is a fault of ours and ends as `INTERNAL_SERVER_ERROR`: so the SDL is true.
    `repeatable` is for a mutation that may be rate limited and yet stand in a document many times:
    it checks no secret and computes no slow hash.
    """

    def __init__(self, *refusals: type[Refusal], repeatable: bool = False) -> None:
        self.refusals = refusals
        self.repeatable = repeatable
        self._directive = FailsDirective(with_=[UserErrorCode[r.code] for r in refusals])
        self._payload: Callable[..., Any] = dict

    def apply(self, field: StrawberryField) -> None:
        """Shows the codes in the SDL, and learns which payload to build."""
        if self._directive not in field.directives:
            field.directives.append(self._directive)
        payload = field.type
        if isinstance(payload, StrawberryOptional):
            payload = payload.of_type
        self._payload = payload  # type: ignore[assignment] # a class, by the style of our mutations

    async def resolve_async(
        self, next_: Callable[..., Any], source: Any, info: Any, **kwargs: Any
    ) -> Any:
        """Calls the mutation."""
        try:
            return await next_(source, info, **kwargs)
        except Refusals as refused:
            if not all(isinstance(refusal, self.refusals) for refusal in refused.refusals):
                raise
            return self._payload(errors=[UserError.of(refusal) for refusal in refused.refusals])
        except Refusal as refusal:
            if not isinstance(refusal, self.refusals):
                raise
            return self._payload(errors=[UserError.of(refusal)])


class BadUserInput(Exception):
    """An argument has the right type and makes no sense; the message says what would."""


def format_errors(errors: Sequence[GraphQLError], request_id: str) -> list[dict[str, Any]]:
    """The errors as the reply shows them. Internal errors are masked and logged."""
    return [_format_error(error, *_describe_error(error, request_id)) for error in errors]


def format_document_errors(errors: Sequence[GraphQLError]) -> list[dict[str, Any]]:
    """The errors of a document that did not run: the client's mistake, whatever raised them."""
    return [_format_error(error, *_describe_document_error(error)) for error in errors]


def coded_error(code: str, message: str, **more: object) -> dict[str, Any]:
    """An error of the request as a whole."""
    return {"message": message, "extensions": {"code": code, **more}}


def _format_error(
    error: GraphQLError, message: str, extensions: Mapping[str, Any]
) -> dict[str, Any]:
    formatted: dict[str, Any] = {"message": message}
    if error.locations:
        formatted["locations"] = [
            {"line": line, "column": column} for line, column in error.locations
        ]
    if error.path is not None:
        formatted["path"] = error.path
    formatted["extensions"] = extensions
    return formatted


def log_internal_errors(errors: Sequence[GraphQLError]) -> None:
    """Logs the internal errors among those that no reply will hold: an extension replaced them."""
    for error in errors:
        _describe_error(error, request_id="")


def _describe_error(error: GraphQLError, request_id: str) -> tuple[str, dict[str, Any]]:
    cause = error.original_error
    if isinstance(cause, Denial):
        # It is not logged. Its frames and the run refer to each other: that would be garbage.
        cause.__traceback__ = error.__traceback__ = None
        return str(cause), _tell_denial(cause)
    if error.path is None and _variable_of(error):
        return _describe_request_error(error, None)
    if cause is None or isinstance(cause, GraphQLError):
        return _describe_graphql_error(error, cause or error, request_id)
    return _tell_no(cause) or _mask(error, cause, request_id)


def _describe_graphql_error(
    error: GraphQLError, raised: GraphQLError, request_id: str
) -> tuple[str, dict[str, Any]]:
    if is_completion_error(raised):
        return _mask(error, raised, request_id)
    permission = denying_permission(raised)
    if permission and "code" not in (raised.extensions or {}):
        code = {"code": "FORBIDDEN", "required": permission}
        return error.message, {**(raised.extensions or {}), **code}
    return _describe_request_error(error, raised)


def _tell_no(cause: BaseException) -> tuple[str, dict[str, Any]] | None:
    """What is wrong with the request, or with the moment, and not with us."""
    match cause:
        case BadUserInput():
            return str(cause), {"code": "BAD_USER_INPUT"}
        case DatabaseUnavailable():
            log_unavailable(cause)
            return cause.message, {
                "code": "SERVICE_UNAVAILABLE",
                "retryAfter": RETRY_AFTER_UNAVAILABLE_SECONDS,
            }
        case _:
            return None


def log_unavailable(error: DatabaseUnavailable) -> None:
    """Logs why a request is answered with `SERVICE_UNAVAILABLE`."""
    log.warning(error.event, cause=str(error))


def _tell_denial(denial: Denial) -> dict[str, Any]:
    if isinstance(denial, Unauthenticated):
        return {"code": "UNAUTHENTICATED", "reason": denial.reason}
    assert isinstance(denial, Forbidden)
    return {"code": "FORBIDDEN", "required": denial.required}


def _describe_document_error(error: GraphQLError) -> tuple[str, dict[str, Any]]:
    cause = error.original_error
    if cause is None or isinstance(cause, GraphQLError):
        return _describe_request_error(error, None)
    # The parser of a scalar raised it. graphql-core quotes its text, which is not for clients.
    return "A value here does not fit its type.", {"code": "GRAPHQL_VALIDATION_FAILED"}


def _describe_request_error(
    error: GraphQLError, raised: GraphQLError | None
) -> tuple[str, dict[str, Any]]:
    given = dict((raised or error).extensions or {})
    if "code" in given:
        return error.message, given
    message, code = _classify_request_error(error)
    return message, {**given, "code": code}


def _classify_request_error(error: GraphQLError) -> tuple[str, str]:
    if isinstance(error, GraphQLSyntaxError):
        return error.message, "GRAPHQL_PARSE_FAILED"
    if error.path is not None:
        return error.message, "BAD_USER_INPUT"
    if variable := _variable_of(error):
        return _describe_variable(variable), "BAD_USER_INPUT"
    return error.message, "GRAPHQL_VALIDATION_FAILED"


def _variable_of(error: GraphQLError) -> VariableDefinitionNode | None:
    """The variable whose value does not fit."""
    return next((n for n in error.nodes or () if isinstance(n, VariableDefinitionNode)), None)


def _describe_variable(node: VariableDefinitionNode) -> str:
    # graphql-core's own message quotes the value: a password would be sent back, and logged.
    return (
        f"The value of variable `${node.variable.name.value}` does not fit its type"
        f" `{print_ast(node.type)}`: see which fields it has and which are required."
    )


def _mask(error: GraphQLError, cause: BaseException, request_id: str) -> tuple[str, dict[str, Any]]:
    _log_internal_error(error, cause, request_id)
    return f"Something went wrong on the server. Tell its operator: request {request_id}.", {
        "code": "INTERNAL_SERVER_ERROR",
        "requestId": request_id,
    }


def _log_internal_error(error: GraphQLError, cause: BaseException, request_id: str) -> None:
    # Where it is not given, the log adds that of the current request.
    fields = {"request_id": request_id} if request_id else {}
    if is_completion_error(cause):
        # The message quotes the value, which may be secret.
        reason = "the resolver returned a value that does not fit the type of the field"
        log.error("graphql.fault", path=error.path, reason=reason, **fields)
        return
    log.error("graphql.fault", exc_info=cause, **fields)
