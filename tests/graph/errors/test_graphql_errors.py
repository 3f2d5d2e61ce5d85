"""GraphQL errors: their codes, masked internal errors, and no secrets in replies or logs."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import strawberry
from graphql import GraphQLError

from postern import BadUserInput, Public
from tests.api import Api, denials, serving
from tests.clock import ManualClock
from tests.conftest import make_settings

SECRET = "hunter2-is-my-password"
LOGIN = "mutation L($input: LoginInput!) { login(input: $input) { errors { code } } }"


@strawberry.type
class Failing:
    """Root fields that raise errors."""

    @strawberry.field(permission_classes=[Public])
    def broken(self) -> str | None:
        raise RuntimeError(f"SELECT * FROM users -- {SECRET}")

    @strawberry.field(permission_classes=[Public])
    def refused(self) -> str | None:
        raise GraphQLError("Out of tea.", extensions={"code": "TEAPOT"})

    @strawberry.field(permission_classes=[Public])
    def misused(self) -> str | None:
        raise BadUserInput("Ask for less.")


@pytest.fixture
async def api(sqlite_url: str, tmp_path: Path, clock: ManualClock) -> AsyncIterator[Api]:
    async with serving(make_settings(sqlite_url, tmp_path), clock, queries=[Failing]) as api:
        yield api


async def test_internal_error_is_masked_and_logged_with_request_id(
    api: Api, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    reply = await api.post("{ broken }", headers={"X-Request-Id": "find-me"})
    (error,) = reply.json()["errors"]
    assert error["extensions"] == {"code": "INTERNAL_SERVER_ERROR", "requestId": "find-me"}
    assert "SELECT" not in reply.text
    assert "find-me" in capsys.readouterr().out + caplog.text


async def test_deliberate_errors_of_custom_resolvers_are_returned(api: Api) -> None:
    result = await api.ask("{ refused misused }")
    assert denials(result) == [{"code": "TEAPOT"}, {"code": "BAD_USER_INPUT"}]
    assert result["errors"][0]["message"] == "Out of tea."


@pytest.mark.parametrize(
    "variables",
    [
        {"input": {"username": "alice", "password": [SECRET]}},
        {"input": {"username": "alice", "password": SECRET, "admin": True}},
        {"input": {"password": SECRET}},
        {"input": SECRET},
        {"input": None},
        {},
    ],
)
async def test_invalid_variable_is_not_quoted(
    api: Api,
    variables: dict[str, object],
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    reply = await api.post(LOGIN, variables)
    assert denials(reply.json()) == [{"code": "BAD_USER_INPUT"}]
    assert SECRET not in reply.text + capsys.readouterr().out + caplog.text


async def test_denials_and_invalid_documents_are_not_logged(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await api.ask("{ me { id } }")
    await api.ask("{ nothing }")
    await api.ask(f'{{ user(id: "{SECRET}") {{ nothing }} }}')
    assert SECRET not in caplog.text
    assert "Traceback" not in caplog.text
    assert {record.levelname for record in caplog.records} <= {"INFO"}


async def test_validation_reports_the_first_five_errors(api: Api) -> None:
    result = await api.ask("{ " + " ".join(f"x{n}" for n in range(15)) + " }")
    assert len(result["errors"]) == 5


async def test_each_denied_field_has_an_error(api: Api) -> None:
    result = await api.ask("{ " + " ".join(f"a{n}: me {{ id }}" for n in range(9)) + " }")
    assert len(result["errors"]) == 9


async def test_null_for_required_variable_is_bad_input(api: Api) -> None:
    result = await api.ask("query U($id: ID!) { user(id: $id) { id } }", {"id": None})
    assert denials(result) == [{"code": "BAD_USER_INPUT"}]


async def test_unused_variable_fails_validation(api: Api) -> None:
    result = await api.ask("query ($id: ID) { __typename }")
    assert denials(result) == [{"code": "GRAPHQL_VALIDATION_FAILED"}]
    assert result["errors"][0]["message"] == "Variable '$id' is never used."


async def test_variable_of_wrong_type_fails_validation(api: Api) -> None:
    result = await api.ask("query ($id: Int) { user(id: $id) { id } }", {"id": 7})
    assert denials(result) == [{"code": "GRAPHQL_VALIDATION_FAILED"}]
    assert "used in position expecting type 'ID!'" in result["errors"][0]["message"]


DOCUMENTS = {
    "misspelt": f'mutation {{ login(input: {{username: "a", password: "{SECRET}"}}) {{ x }} }}',
    "unclosed": f'mutation {{ login(input: {{username: "a", password: "{SECRET}"',
    "many mistakes": "{ " + f'user(id: "{SECRET}") {{ x }} ' * 40 + "}",
    "too long": "{ " + f'a: user(id: "{SECRET}") {{ id }} ' * 200 + "}",
    "too many guesses": (
        f'mutation {{ a: login(input: {{username: "a", password: "{SECRET}"}}) {{ x }}'
        f' b: login(input: {{username: "a", password: "{SECRET}"}}) {{ x }} }}'
    ),
    "no such operation": f'fragment F on Query {{ user(id: "{SECRET}") {{ id }} }}',
}


@pytest.mark.parametrize("document", DOCUMENTS)
async def test_document_that_does_not_run_is_not_logged(
    api: Api,
    document: str,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    reply = await api.post(DOCUMENTS[document])
    assert "errors" in reply.json()
    written = capsys.readouterr()
    assert SECRET not in reply.text + written.out + written.err + caplog.text
    assert len(written.out + written.err) < 2_000
