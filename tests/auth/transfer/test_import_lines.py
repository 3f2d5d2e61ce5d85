"""Parsing and validation of import lines."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth.transfer.import_lines import (
    KNOWN_FIELDS,
    ImportedUser,
    ImportLine,
    parse_instant,
    parse_line,
)
from models.base import uuid7

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROLES = {"user": uuid7(), "admin": uuid7()}


def problems_of(fields: object) -> list[str]:
    parsed = parse_line(ImportLine(7, fields), ROLES, NOW)
    assert isinstance(parsed, list)
    return [str(problem) for problem in parsed]


def parsed(**fields: object) -> ImportedUser:
    incoming = parse_line(ImportLine(7, {"username": "carol", **fields}), ROLES, NOW)
    assert isinstance(incoming, ImportedUser)
    return incoming


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "username: is missing"),
        ({"username": None}, "username: is missing"),
        ({"username": 17}, "username: must be text"),
        ({"username": "a"}, "username: A username must have 2 to 64 letters"),
        ({"username": "nul\0"}, "username: A username must have 2 to 64 letters"),
        ({"username": "half \ud800"}, "username: A username must have 2 to 64 letters"),
        ({"email": "carol"}, "email: This is not a valid email address."),
        ({"email": ["carol"]}, "email: must be text"),
        ({"full_name": "a\nb"}, "full_name: A full name must have at most 200 characters"),
        ({"password_hash": "rubbish"}, "password_hash: is not a supported password hash"),
        ({"password_hash": "$2b$12$" + "a" * 52}, "password_hash: is not a supported"),
        ({"password_hash": "$2b$31$" + "a" * 53}, "password_hash: has a cost that is not"),
        ({"roles": ["king"]}, "roles: contains an unknown role"),
        ({"roles": "user"}, "roles: must be a list of names"),
        ({"roles": [17]}, "roles: must be a list of names"),
        ({"disabled": "yes"}, "disabled: must be true or false"),
        ({"email_verified": 1}, "email_verified: must be true or false"),
        (
            {"disabled": False, "disabled_at": "2024-05-17T09:30:00Z"},
            "disabled: contradicts disabled_at",
        ),
        ({"created_at": "2024-05-17"}, "created_at: must be a time with a time zone"),
        ({"created_at": "2026-05-17T09:30:00Z"}, "created_at: is in the future"),
        ({"id": "17"}, "id: must be a UUID"),
        ({"id": 17}, "id: must be text"),
        ({"password": "hunter2"}, "password: plain-text passwords cannot be imported"),
        ({"userName": "carol"}, "userName: is not a known field"),
        ({"$2b$12$abc": ""}, "the name of a field is invalid"),
    ],
)
def test_invalid_field_is_reported(fields: dict[str, object], said: str) -> None:
    whole = fields if fields == {} or "username" in fields else {"username": "carol", **fields}
    (problem,) = problems_of(whole)
    assert problem.startswith(f"line 7: {said}")


def test_all_problems_of_line_are_reported_together() -> None:
    assert len(problems_of({"username": "a", "email": "b", "disabled": "c", "e": "f"})) == 4


@pytest.mark.parametrize("fields", [None, 17, "carol", ["carol"]])
def test_line_must_be_object(fields: object) -> None:
    assert problems_of(fields) == ["line 7: must be a JSON object"]


def test_empty_fields_are_none() -> None:
    carol = parsed(email="", full_name="", password_hash="", created_at="")
    assert (carol.email, carol.full_name, carol.password_hash) == (None, None, None)
    assert carol.created_at == NOW


def test_unusable_password_of_django_is_none() -> None:
    assert parsed(password_hash="!pRzJ8hfh3Pg0u2ErBtzC").password_hash is None


def test_empty_roles_give_no_role_and_missing_roles_default() -> None:
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
def test_parse_instant_accepts_rfc_3339(text: str) -> None:
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
def test_parse_instant_returns_none_for_other_text(text: str) -> None:
    assert parse_instant(text) is None


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(sorted(KNOWN_FIELDS)) | st.text(), values))
def test_any_line_is_user_or_has_problems(fields: dict[str, object]) -> None:
    parsed = parse_line(ImportLine(7, fields), ROLES, NOW)
    assert isinstance(parsed, ImportedUser) or (parsed and all(p.line == 7 for p in parsed))


@given(st.text(min_size=4))
def test_problems_do_not_contain_values(text: str) -> None:
    secret = f"<{text}>"
    fields = dict.fromkeys(KNOWN_FIELDS, secret) | {secret: secret}
    assert not any(secret in problem for problem in problems_of(fields))


@given(st.datetimes(max_value=datetime(2025, 1, 1)), st.integers(-23, 23))  # noqa: DTZ001
def test_parse_instant_round_trip(moment: datetime, hours: int) -> None:
    local = moment.replace(tzinfo=timezone(timedelta(hours=hours)))
    try:
        wanted = local.astimezone(UTC)
    except OverflowError:
        return
    assert parse_instant(local.isoformat()) == wanted
