"""GraphQL errors: their codes, and the masking and logging of internal errors.

`auth` raises denials, which get a code of their own. Errors of the client keep their message.
All other errors are internal: the reply has the request ID, and the log has the traceback.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from graphql import GraphQLError, GraphQLSyntaxError, VariableDefinitionNode, print_ast

from auth.errors import Denial, Forbidden, Unauthenticated
from graph.errors.error_origins import denying_permission, is_completion_error
from models.database import DatabaseUnavailable

log = structlog.get_logger("postern.graph")

RETRY_AFTER_UNAVAILABLE_SECONDS = 2
NO_SUCH_OPERATION = "The document has no operation with this name."


class BadUserInput(Exception):
    """An argument has the right type but an invalid value; the message says what is valid."""


def format_errors(errors: Sequence[GraphQLError], request_id: str) -> list[dict[str, Any]]:
    """Returns the errors as the reply has them. Masks and logs internal errors."""
    return [_format_error(error, *_describe_error(error, request_id)) for error in errors]


def format_document_errors(errors: Sequence[GraphQLError]) -> list[dict[str, Any]]:
    """Returns the errors of a document that did not run; all of them are the client's."""
    return [_format_error(error, *_describe_document_error(error)) for error in errors]


def coded_error(code: str, message: str, **more: object) -> dict[str, Any]:
    """Returns an error of the whole request."""
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
    """Logs the internal errors among errors that an extension removed from the reply."""
    for error in errors:
        _describe_error(error, request_id="")


def _describe_error(error: GraphQLError, request_id: str) -> tuple[str, dict[str, Any]]:
    cause = error.original_error
    if isinstance(cause, Denial):
        # The traceback and the executor refer to each other. A denial is not logged, so without
        # its traceback both are freed at once, not by the garbage collector.
        cause.__traceback__ = error.__traceback__ = None
        return str(cause), _describe_denial(cause)
    if error.path is None and _variable_of(error):
        return _describe_request_error(error, None)
    if cause is None or isinstance(cause, GraphQLError):
        return _describe_graphql_error(error, cause or error, request_id)
    return _describe_expected_error(cause) or _mask(error, cause, request_id)


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


def _describe_expected_error(cause: BaseException) -> tuple[str, dict[str, Any]] | None:
    """Returns None for an internal error."""
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
    """Logs why the reply to a request is `SERVICE_UNAVAILABLE`."""
    log.warning(error.event, cause=str(error))


def _describe_denial(denial: Denial) -> dict[str, Any]:
    if isinstance(denial, Unauthenticated):
        return {"code": "UNAUTHENTICATED", "reason": denial.reason}
    assert isinstance(denial, Forbidden)
    return {"code": "FORBIDDEN", "required": denial.required}


def _describe_document_error(error: GraphQLError) -> tuple[str, dict[str, Any]]:
    cause = error.original_error
    if cause is None or isinstance(cause, GraphQLError):
        return _describe_request_error(error, None)
    # The parser of a scalar raised it. graphql-core quotes its message, which may have internals.
    return "A value in the document does not match its type.", {"code": "GRAPHQL_VALIDATION_FAILED"}


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
    """Returns the variable whose value is invalid."""
    return next((n for n in error.nodes or () if isinstance(n, VariableDefinitionNode)), None)


def _describe_variable(node: VariableDefinitionNode) -> str:
    # graphql-core's own message quotes the value: a password would be sent back, and logged.
    return (
        f"The value of variable `${node.variable.name.value}` does not match its type"
        f" `{print_ast(node.type)}`. Check the fields of the type and which are required."
    )


def _mask(error: GraphQLError, cause: BaseException, request_id: str) -> tuple[str, dict[str, Any]]:
    _log_internal_error(error, cause, request_id)
    message = f"Internal server error. Report request ID {request_id} to the operator."
    return message, {"code": "INTERNAL_SERVER_ERROR", "requestId": request_id}


def _log_internal_error(error: GraphQLError, cause: BaseException, request_id: str) -> None:
    # Without a request ID here, the log adds that of the current request.
    fields = {"request_id": request_id} if request_id else {}
    if is_completion_error(cause):
        # The message quotes the value, which may be secret.
        reason = "the resolver returned a value that does not match the type of the field"
        log.error("graphql.internal_error", path=error.path, reason=reason, **fields)
        return
    log.error("graphql.internal_error", exc_info=cause, **fields)
