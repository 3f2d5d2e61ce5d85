"""Import of users: valid lines are imported, and problems of the others are reported."""

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
from auth.transfer.import_lines import ImportedUser, ImportLine, LineProblem
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
    """The result of an import."""

    def __init__(self, counts: ImportCounts, problems: list[LineProblem]) -> None:
        self.counts = (counts.imported, counts.unchanged, counts.rejected)
        self.messages = [str(problem) for problem in problems]


async def run(auth: Auth, *accounts: object, dry_run: bool = False) -> Report:
    problems: list[LineProblem] = []
    lines = [ImportLine(number, account) for number, account in enumerate(accounts, 1)]
    counts = await import_users(auth, OPERATOR, lines, report=problems.append, dry_run=dry_run)
    return Report(counts, problems)


async def get(auth: Auth, name: str) -> UserRecord:
    user = await find_user_by_name(auth, name)
    assert user
    return user


async def count_users(auth: Auth) -> int:
    async with auth.db.read() as session:
        return (await session.scalars(select(func.count()).select_from(User))).one()


async def test_import_keeps_all_fields(auth: Auth) -> None:
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


async def test_import_requires_username_only(auth: Auth) -> None:
    await run(auth, {"username": "carol"})
    carol = await get(auth, "carol")
    assert [role.name for role in carol.roles] == ["user"]
    assert (carol.created_at, carol.email, carol.disabled) == (auth.clock.now(), None, False)


@pytest.mark.parametrize("system", OF_OTHER_SYSTEMS)
async def test_imported_user_signs_in_and_hash_is_replaced(sqlite_api: Api, system: str) -> None:
    auth, stored = sqlite_api.auth, OF_OTHER_SYSTEMS[system]
    assert (await run(auth, {"username": "carol", "password_hash": stored})).messages == []
    assert await hash_of(auth, "carol") == stored
    assert (await sqlite_api.try_login("carol", PASSWORD))["errors"] == []
    assert (await hash_of(auth, "carol")).startswith("$bcrypt-sha256$v=2,t=2b,r=4$")


async def hash_of(auth: Auth, username: str) -> str:
    async with auth.db.read() as session:
        query = select(User.password_hash).where(User.username == username)
        return str((await session.scalars(query)).one())


async def test_imported_user_signs_in_on_each_database(auth: Auth) -> None:
    await run(auth, {"username": "carol", "password_hash": OF_OTHER_SYSTEMS["Werkzeug scrypt"]})
    await log_in(auth, Client(), username="carol", password=PASSWORD)


async def test_import_records_audit_event_per_user(auth: Auth) -> None:
    await run(auth, {"username": "carol"}, {"username": "dave"}, {"username": "alice"})
    async with auth.db.read() as session:
        query = select(AuditEvent).where(AuditEvent.action == Action.USER_IMPORTED)
        events = list(await session.scalars(query))
    carol, dave = await get(auth, "carol"), await get(auth, "dave")
    assert {event.subject_id for event in events} == {carol.id, dave.id}
    assert {event.client_address for event in events} == {OPERATOR.client.address}


async def test_import_reports_names_of_existing_users(auth: Auth) -> None:
    report = await run(
        auth,
        {"username": "ALICE"},
        {"username": "carol", "email": "Bob@example.com"},
        {"username": "dave"},
        {"username": "erin", "id": str((await get(auth, "bob")).id)},
    )
    assert report.counts == (1, 0, 3)
    assert report.messages == [
        "line 1: username: is already used by another account",
        "line 2: email: is already used by another account",
        "line 4: id: is already used by another account",
    ]


@pytest.mark.parametrize("batch", [1, 2, 1000])
@pytest.mark.parametrize("dry_run", [True, False])
async def test_import_reports_names_of_earlier_lines(
    auth: Auth, monkeypatch: pytest.MonkeyPatch, batch: int, dry_run: bool
) -> None:
    monkeypatch.setattr(user_import, "BATCH_SIZE", batch)
    report = await run(
        auth,
        {"username": "carol", "email": "carol@example.com"},
        {"username": "dave"},
        {"username": "ＣＡＲＯＬ"},
        {"username": "erin", "email": "CAROL@EXAMPLE.COM"},
        dry_run=dry_run,
    )
    assert report.counts == (2, 0, 2)
    assert report.messages == [
        "line 3: username: is already used in line 1",
        "line 4: email: is already used in line 1",
    ]


async def test_rejected_line_claims_no_name(auth: Auth) -> None:
    report = await run(
        auth, {"username": "carol", "email": "alice@example.com"}, {"username": "carol"}
    )
    assert report.counts == (1, 0, 1)


async def test_second_import_changes_nothing(auth: Auth) -> None:
    accounts = [
        {"username": "carol", "email": "carol@example.com"},
        {"username": "dave", "id": str(uuid4())},
    ]
    await run(auth, *accounts)
    carol = await get(auth, "carol")
    report = await run(auth, *accounts, {"username": "erin"})
    assert (report.counts, report.messages) == ((1, 2, 0), [])
    assert await get(auth, "carol") == carol


async def test_same_username_with_other_email_is_rejected(auth: Auth) -> None:
    await run(auth, {"username": "carol", "email": "carol@example.com"})
    report = await run(auth, {"username": "carol", "email": "carol@elsewhere.example.com"})
    assert report.messages == ["line 1: username: is already used by another account"]


async def test_dry_run_reports_same_and_writes_nothing(auth: Auth) -> None:
    accounts = [{"username": "carol"}, {"username": "alice"}, {"username": "c"}, 17]
    before = await count_users(auth)
    dry = await run(auth, *accounts, dry_run=True)
    assert await count_users(auth) == before
    real = await run(auth, *accounts)
    assert (dry.counts, dry.messages) == (real.counts, real.messages)


async def test_import_writes_several_batches(auth: Auth, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_import, "BATCH_SIZE", 7)
    before = await count_users(auth)
    report = await run(auth, *({"username": f"user{number}"} for number in range(50)))
    assert report.counts == (50, 0, 0)
    assert await count_users(auth) == before + 50


async def test_name_taken_during_batch_rejects_only_its_line(
    auth: Auth, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_import.ExistingUsers, "find", find_nothing)
    users = ({"username": name} for name in ("carol", "dave", "alice", "erin", "frank"))
    report = await run(auth, *users)
    assert report.counts == (4, 0, 1)
    assert report.messages[0].startswith("line 3: a name or a role changed")


async def find_nothing(
    session: AsyncSession, users: list[ImportedUser]
) -> user_import.ExistingUsers:
    """Finds no users, as if they were all created after the check."""
    return user_import.ExistingUsers()


async def test_registration_between_batches_is_detected(
    auth: Auth, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_import, "BATCH_SIZE", 1)
    await create_user(auth, OPERATOR, NewUserForm("dave", None), [])
    report = await run(auth, {"username": "carol"}, {"username": "dave", "email": "d@example.com"})
    assert report.messages == ["line 2: username: is already used by another account"]


async def test_import_requires_permissions(auth: Auth) -> None:
    class Reader:
        user_id = None
        session_id = None
        client = OPERATOR.client
        permissions = frozenset({"users:read", "users:write"})

    with pytest.raises(Forbidden):
        await import_users(auth, Reader(), [], report=print)


async def test_imported_users_sort_by_creation(auth: Auth) -> None:
    await run(auth, {"username": "carol", "created_at": "2019-05-17T09:30:00Z"})
    carol, alice = await get(auth, "carol"), await get(auth, ALICE.username)
    assert carol.id < alice.id
