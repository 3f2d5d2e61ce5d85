"""A line of a file of accounts is an account, or everything that is wrong with it is told."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth.transfer.import_lines import KNOWN_FIELDS, Incoming, Line, parse_instant, parse_line
from models.base import uuid7

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROLES = {"user": uuid7(), "admin": uuid7()}


def problems_of(fields: object) -> list[str]:
    parsed = parse_line(Line(7, fields), ROLES, NOW)
    assert isinstance(parsed, list)
    return [str(problem) for problem in parsed]


def parsed(**fields: object) -> Incoming:
    incoming = parse_line(Line(7, {"username": "carol", **fields}), ROLES, NOW)
    assert isinstance(incoming, Incoming)
    return incoming


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "username: is missing"),
        ({"username": None}, "username: is missing"),
        ({"username": 17}, "username: is not text"),
        ({"username": "a"}, "username: A username must have 2 to 64 letters"),
        ({"username": "nul\0"}, "username: A username must have 2 to 64 letters"),
        ({"username": "half \ud800"}, "username: A username must have 2 to 64 letters"),
        ({"email": "carol"}, "email: This is not a valid email address."),
        ({"email": ["carol"]}, "email: is not text"),
        ({"full_name": "a\nb"}, "full_name: A full name must have at most 200 characters"),
        ({"password_hash": "rubbish"}, "password_hash: is of no kind that can be verified here"),
        ({"password_hash": "$2b$12$" + "a" * 52}, "password_hash: is of no kind"),
        ({"password_hash": "$2b$31$" + "a" * 53}, "password_hash: has a cost that is out of"),
        ({"roles": ["king"]}, "roles: there is no such role"),
        ({"roles": "user"}, "roles: is not a list of names"),
        ({"roles": [17]}, "roles: is not a list of names"),
        ({"disabled": "yes"}, "disabled: is neither true nor false"),
        ({"email_verified": 1}, "email_verified: is neither true nor false"),
        (
            {"disabled": False, "disabled_at": "2024-05-17T09:30:00Z"},
            "disabled: contradicts disabled_at",
        ),
        ({"created_at": "2024-05-17"}, "created_at: is no time with a time zone"),
        ({"created_at": "2026-05-17T09:30:00Z"}, "created_at: lies in the future"),
        ({"id": "17"}, "id: is not a UUID"),
        ({"id": 17}, "id: is not text"),
        ({"password": "hunter2"}, "password: plain-text passwords are not imported"),
        ({"userName": "carol"}, "userName: there is no such field"),
        ({"$2b$12$abc": ""}, "there is a field whose name is no word"),
    ],
)
def test_what_is_wrong_with_a_line_is_told(fields: dict[str, object], said: str) -> None:
    whole = fields if fields == {} or "username" in fields else {"username": "carol", **fields}
    (problem,) = problems_of(whole)
    assert problem.startswith(f"line 7: {said}")


def test_everything_that_is_wrong_with_a_line_is_told_at_once() -> None:
    assert len(problems_of({"username": "a", "email": "b", "disabled": "c", "e": "f"})) == 4


@pytest.mark.parametrize("fields", [None, 17, "carol", ["carol"]])
def test_a_line_is_an_object(fields: object) -> None:
    assert problems_of(fields) == ["line 7: is not a JSON object"]


def test_what_is_empty_is_not_there() -> None:
    carol = parsed(email="", full_name="", password_hash="", created_at="")
    assert (carol.email, carol.full_name, carol.password_hash) == (None, None, None)
    assert carol.created_at == NOW


def test_a_password_that_django_made_unusable_is_none() -> None:
    assert parsed(password_hash="!pRzJ8hfh3Pg0u2ErBtzC").password_hash is None


def test_no_roles_are_none_and_not_the_usual_one() -> None:
    assert parsed(roles=[]).roles == ()
    assert parsed(roles=None).roles == ("user",)
    assert parsed(roles=["admin", "user", "admin"]).roles == ("admin", "user")


@pytest.mark.parametrize(
    "text",
    [
        "2024-05-17T09:30:00Z",
        "2024-05-17t09:30:00z",
        "2024-05-17 11:30:00+02:00",
        "2024-05-17T09:30:00.000000000Z",
    ],
)
def test_an_instant_is_rfc_3339(text: str) -> None:
    assert parse_instant(text) == datetime(2024, 5, 17, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2024-05-17",
        "2024-05-17T09:30:00",
        "2024-W20-5T09:30:00Z",
        "2024-05-17T09:30Z",
        "2024-13-17T09:30:00Z",
        "2024-05-17T09:30:60Z",
        "0001-01-01T00:00:00+01:00",
        "٢٠٢٤-05-17T09:30:00Z",
        "1715938200",
    ],
)
def test_what_is_no_instant_is_none(text: str) -> None:
    assert parse_instant(text) is None


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(sorted(KNOWN_FIELDS)) | st.text(), values))
def test_any_line_is_an_account_or_has_problems(fields: dict[str, object]) -> None:
    parsed = parse_line(Line(7, fields), ROLES, NOW)
    assert isinstance(parsed, Incoming) or (parsed and all(p.line == 7 for p in parsed))


@given(st.text(min_size=4))
def test_a_problem_never_repeats_what_stands_in_the_line(text: str) -> None:
    secret = f"<{text}>"
    fields = dict.fromkeys(KNOWN_FIELDS, secret) | {secret: secret}
    assert not any(secret in problem for problem in problems_of(fields))


@given(st.datetimes(max_value=datetime(2025, 1, 1)), st.integers(-23, 23))  # noqa: DTZ001
def test_every_instant_is_read_as_it_is_written(moment: datetime, hours: int) -> None:
    local = moment.replace(tzinfo=timezone(timedelta(hours=hours)))
    try:
        wanted = local.astimezone(UTC)
    except OverflowError:
        return
    assert parse_instant(local.isoformat()) == wanted
