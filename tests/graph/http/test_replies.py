"""Replies: status, headers and body of a result."""

import orjson
import pytest
from graphql import ExecutionResult, GraphQLError

from auth.errors import TokenMissing
from graph.http.replies import is_request_error, reply_result
from graph.statuses import JSON, RESPONSE_JSON
from models.database import DatabaseUnavailable


def failed(cause: Exception) -> GraphQLError:
    return GraphQLError("x", path=["me"], original_error=cause)


def test_result_without_errors_has_data_only() -> None:
    reply = reply_result(ExecutionResult({"a": 1}), JSON, "id")
    assert (reply.status, reply.body, reply.headers) == (200, b'{"data":{"a":1}}', [])


def test_extensions_of_a_result_are_in_the_reply() -> None:
    reply = reply_result(ExecutionResult({"a": 1}, None, {"cost": 3}), JSON, "id")
    assert orjson.loads(reply.body) == {"data": {"a": 1}, "extensions": {"cost": 3}}


def test_unauthenticated_field_adds_a_challenge() -> None:
    reply = reply_result(ExecutionResult({"me": None}, [failed(TokenMissing())]), JSON, "id")
    assert (reply.status, reply.headers) == (200, [(b"www-authenticate", b"Bearer")])


def test_unavailable_database_is_503_with_retry_after() -> None:
    error = failed(DatabaseUnavailable("x"))
    reply = reply_result(ExecutionResult({"me": None}, [error]), JSON, "id")
    assert (reply.status, reply.headers) == (503, [(b"retry-after", b"2")])


@pytest.mark.parametrize(("media_type", "status"), [(JSON, 200), (RESPONSE_JSON, 400)])
def test_request_error_has_no_data(media_type: str, status: int) -> None:
    result = ExecutionResult(None, [GraphQLError("Wrong variable.")])
    assert is_request_error(result)
    reply = reply_result(result, media_type, "id")
    assert (reply.status, list(orjson.loads(reply.body))) == (status, ["errors"])


def test_data_that_is_null_because_of_a_field_is_no_request_error() -> None:
    assert not is_request_error(ExecutionResult(None, [failed(TokenMissing())]))
