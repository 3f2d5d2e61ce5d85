"""Accounts by the thousand: every line that can be imported is, and every other one is told of."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from auth.audit import Action
from auth.clients import Client
from auth.errors import Forbidden
from auth.login import log_in
from auth.records import UserRecord
from auth.transfer import user_import
from auth.transfer.import_lines import Incoming, Line, Problem
from auth.transfer.user_import import ImportCounts, import_users
from auth.user_creation import NewUserForm, create_user
from auth.users import find_user_by_name
from auth.wiring import Auth
from models.audit_event import AuditEvent
from models.user import User
from tests.accounts import ALICE, OPERATOR
from tests.api import Api
from tests.auth.passwords.test_foreign_hashes import OF_OTHER_SYSTEMS, PASSWORD


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
    monkeypatch.setattr(user_import._Known, "of", looks_too_early)
    people = ({"username": name} for name in ("carol", "dave", "alice", "erin", "frank"))
    report = await run(auth, *people)
    assert report.counts == (4, 0, 1)
    assert report.said[0].startswith("line 3: the database refuses it")


async def looks_too_early(session: AsyncSession, some: list[Incoming]) -> user_import._Known:
    """As if every account had been made after the look."""
    return user_import._Known()


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
        session_id = None
        client = OPERATOR.client
        permissions = frozenset({"users:read", "users:write"})

    with pytest.raises(Forbidden):
        await import_users(auth, Reader(), [], tell=print)


async def test_imported_accounts_are_listed_by_their_age(auth: Auth) -> None:
    await run(auth, {"username": "carol", "created_at": "2019-05-17T09:30:00Z"})
    carol, alice = await get(auth, "carol"), await get(auth, ALICE.username)
    assert carol.id < alice.id
