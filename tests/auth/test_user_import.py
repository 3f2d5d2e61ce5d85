"""Accounts by the thousand: every line that can be imported is, and every other one is told of."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from auth import user_import
from auth.audit import Action
from auth.clients import Client
from auth.errors import Forbidden
from auth.import_lines import (
    KNOWN_FIELDS,
    Incoming,
    Line,
    Problem,
    parse_instant,
    parse_line,
)
from auth.login import log_in
from auth.new_users import NewUserForm
from auth.records import UserRecord
from auth.user_import import ImportCounts, import_users
from auth.users import create_user, find_user_by_name
from auth.wiring import Auth
from models.audit_event import AuditEvent
from models.base import uuid7
from models.user import User
from tests.api import Api
from tests.auth.test_foreign_hashes import OF_OTHER_SYSTEMS, PASSWORD
from tests.people import ALICE, OPERATOR

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROLES = {"user": uuid7(), "admin": uuid7()}


class Report:
    """What an import told."""

    def __init__(self, counts: ImportCounts, problems: list[Problem]) -> None:
        self.counts = (counts.imported, counts.already_there, counts.refused)
        self.said = [str(problem) for problem in problems]


async def run(auth: Auth, *accounts: object, dry_run: bool = False) -> Report:
    problems: list[Problem] = []
    lines = [Line(number, account) for number, account in enumerate(accounts, 1)]
    counts = await import_users(auth, OPERATOR, lines, tell=problems.append, dry_run=dry_run)
    return Report(counts, problems)


async def get(auth: Auth, name: str) -> UserRecord:
    user = await find_user_by_name(auth, name)
    assert user
    return user


async def count_users(auth: Auth) -> int:
    async with auth.db.read() as session:
        return (await session.scalars(select(func.count()).select_from(User))).one()


def problems_of(fields: object) -> list[str]:
    parsed = parse_line(Line(7, fields), ROLES, NOW)
    assert isinstance(parsed, list)
    return [str(problem) for problem in parsed]


def parsed(**fields: object) -> Incoming:
    incoming = parse_line(Line(7, {"username": "carol", **fields}), ROLES, NOW)
    assert isinstance(incoming, Incoming)
    return incoming


async def test_an_account_comes_as_it_was(auth: Auth) -> None:
    user_id = uuid4()
    report = await run(
        auth,
        {
            "id": str(user_id),
            "username": "Carol",
            "email": "Carol@Example.com",
            "email_verified": True,
            "full_name": "Carol Example",
            "roles": ["support", "auditor"],
            "disabled": True,
            "created_at": "2019-05-17T09:30:00+02:00",
            "last_login_at": "2024-05-17T09:30:00Z",
        },
    )
    carol = await get(auth, "carol")
    assert report.counts == (1, 0, 0)
    assert (carol.id, carol.username, carol.email) == (user_id, "Carol", "Carol@example.com")
    assert (carol.email_verified, carol.disabled, carol.full_name) == (True, True, "Carol Example")
    assert [role.name for role in carol.roles] == ["auditor", "support"]
    assert carol.created_at == datetime(2019, 5, 17, 7, 30, tzinfo=UTC)
    assert carol.last_login_at == datetime(2024, 5, 17, 9, 30, tzinfo=UTC)


async def test_a_username_is_enough(auth: Auth) -> None:
    await run(auth, {"username": "carol"})
    carol = await get(auth, "carol")
    assert [role.name for role in carol.roles] == ["user"]
    assert (carol.created_at, carol.email, carol.disabled) == (auth.clock.now(), None, False)


@pytest.mark.parametrize("system", OF_OTHER_SYSTEMS)
async def test_whoever_is_imported_logs_in_and_gets_a_hash_of_ours(
    sqlite_api: Api, system: str
) -> None:
    auth, stored = sqlite_api.auth, OF_OTHER_SYSTEMS[system]
    assert (await run(auth, {"username": "carol", "password_hash": stored})).said == []
    assert await hash_of(auth, "carol") == stored
    assert (await sqlite_api.try_login("carol", PASSWORD))["errors"] == []
    assert (await hash_of(auth, "carol")).startswith("$bcrypt-sha256$v=2,t=2b,r=4$")


async def hash_of(auth: Auth, username: str) -> str:
    async with auth.db.read() as session:
        query = select(User.password_hash).where(User.username == username)
        return str((await session.scalars(query)).one())


async def test_an_imported_account_logs_in_on_either_database(auth: Auth) -> None:
    await run(auth, {"username": "carol", "password_hash": OF_OTHER_SYSTEMS["Werkzeug scrypt"]})
    await log_in(auth, Client(), username="carol", password=PASSWORD)


async def test_the_trail_knows_of_each_import(auth: Auth) -> None:
    await run(auth, {"username": "carol"}, {"username": "dave"}, {"username": "alice"})
    async with auth.db.read() as session:
        query = select(AuditEvent).where(AuditEvent.action == Action.USER_IMPORTED)
        events = list(await session.scalars(query))
    carol, dave = await get(auth, "carol"), await get(auth, "dave")
    assert {event.subject_id for event in events} == {carol.id, dave.id}
    assert {event.client_address for event in events} == {OPERATOR.client.address}


async def test_names_that_others_have_are_told_and_the_rest_is_imported(auth: Auth) -> None:
    report = await run(
        auth,
        {"username": "ALICE"},
        {"username": "carol", "email": "Bob@example.com"},
        {"username": "dave"},
        {"username": "erin", "id": str((await get(auth, "bob")).id)},
    )
    assert report.counts == (1, 0, 3)
    assert report.said == [
        "line 1: username: another account has it",
        "line 2: email: another account has it",
        "line 4: id: another account has it",
    ]


@pytest.mark.parametrize("batch", [1, 2, 1000])
@pytest.mark.parametrize("dry_run", [True, False])
async def test_names_of_an_earlier_line_are_told_with_its_number(
    auth: Auth, monkeypatch: pytest.MonkeyPatch, batch: int, dry_run: bool
) -> None:
    monkeypatch.setattr(user_import, "BATCH", batch)
    report = await run(
        auth,
        {"username": "carol", "email": "carol@example.com"},
        {"username": "dave"},
        {"username": "ＣＡＲＯＬ"},
        {"username": "erin", "email": "CAROL@EXAMPLE.COM"},
        dry_run=dry_run,
    )
    assert report.counts == (2, 0, 2)
    assert report.said == [
        "line 3: username: line 1 has it already",
        "line 4: email: line 1 has it already",
    ]


async def test_a_line_that_was_refused_keeps_no_name(auth: Auth) -> None:
    report = await run(
        auth, {"username": "carol", "email": "alice@example.com"}, {"username": "carol"}
    )
    assert report.counts == (1, 0, 1)


async def test_the_same_file_again_changes_nothing(auth: Auth) -> None:
    accounts = [
        {"username": "carol", "email": "carol@example.com"},
        {"username": "dave", "id": str(uuid4())},
    ]
    await run(auth, *accounts)
    carol = await get(auth, "carol")
    report = await run(auth, *accounts, {"username": "erin"})
    assert (report.counts, report.said) == ((1, 2, 0), [])
    assert await get(auth, "carol") == carol


async def test_an_account_with_another_address_is_another_account(auth: Auth) -> None:
    await run(auth, {"username": "carol", "email": "carol@example.com"})
    report = await run(auth, {"username": "carol", "email": "carol@elsewhere.example.com"})
    assert report.said == ["line 1: username: another account has it"]


async def test_a_dry_run_tells_the_same_and_writes_nothing(auth: Auth) -> None:
    accounts = [{"username": "carol"}, {"username": "alice"}, {"username": "c"}, 17]
    before = await count_users(auth)
    dry = await run(auth, *accounts, dry_run=True)
    assert await count_users(auth) == before
    real = await run(auth, *accounts)
    assert (dry.counts, dry.said) == (real.counts, real.said)


async def test_many_batches_are_one_import(auth: Auth, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_import, "BATCH", 7)
    before = await count_users(auth)
    report = await run(auth, *({"username": f"person{number}"} for number in range(50)))
    assert report.counts == (50, 0, 0)
    assert await count_users(auth) == before + 50


async def test_a_name_that_is_taken_at_the_last_moment_costs_its_line_only(
    auth: Auth, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_import, "_find_known", looks_too_early(user_import._find_known))
    people = ({"username": name} for name in ("carol", "dave", "alice", "erin", "frank"))
    report = await run(auth, *people)
    assert report.counts == (4, 0, 1)
    assert report.said[0].startswith("line 3: the database refuses it")


def looks_too_early(look: Callable[..., Any]) -> Callable[..., Any]:
    """As if every account had been made after the look."""

    async def found_nobody(session: Any, some: Any) -> Any:
        return await look(session, [])

    return found_nobody


async def test_a_registration_between_two_batches_is_seen(
    auth: Auth, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_import, "BATCH", 1)
    await create_user(auth, OPERATOR, NewUserForm("dave", None), [])
    report = await run(auth, {"username": "carol"}, {"username": "dave", "email": "d@example.com"})
    assert report.said == ["line 2: username: another account has it"]


async def test_only_who_may_write_accounts_and_roles_may_import(auth: Auth) -> None:
    class Reader:
        user_id = None
        client = OPERATOR.client
        permissions = frozenset({"users:read", "users:write"})

    with pytest.raises(Forbidden):
        await import_users(auth, Reader(), [], tell=print)


async def test_imported_accounts_are_listed_by_their_age(auth: Auth) -> None:
    await run(auth, {"username": "carol", "created_at": "2019-05-17T09:30:00Z"})
    carol, alice = await get(auth, "carol"), await get(auth, ALICE.username)
    assert carol.id < alice.id


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "username: is missing"),
        ({"username": None}, "username: is missing"),
        ({"username": 17}, "username: is not text"),
        ({"username": "a"}, "username: A username has 2 to 64 letters"),
        ({"username": "nul\0"}, "username: A username has 2 to 64 letters"),
        ({"username": "half \ud800"}, "username: A username has 2 to 64 letters"),
        ({"email": "carol"}, "email: This is not a valid e-mail address."),
        ({"email": ["carol"]}, "email: is not text"),
        ({"full_name": "a\nb"}, "full_name: A full name has at most 200 characters"),
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
