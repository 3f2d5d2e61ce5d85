"""UserRows: records equal those of the ORM, and the cache is never out of date."""

import time
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any

import pytest
from sqlalchemy import insert, select, text, update

from auth.list_pages import Page
from auth.permissions import Console, PermissionRegistry
from auth.records import WITH_ROLES, UserRecord
from auth.role_edits import RoleForm, create_role
from auth.roles import find_roles_by_name
from auth.user_access import set_user_roles
from auth.user_creation import NewUserForm, create_user
from auth.user_list import UserFilter, list_users
from auth.user_rows import UserRows
from auth.users import find_user
from auth.viewer_cache import MAX_AGE_SECONDS
from auth.wiring import Auth
from models.base import uuid7
from models.database import Database, DatabaseUnavailable
from models.role import Role, UserRole
from models.user import User
from tests.accounts import ALICE, BOB, CREATED_AT
from tests.api import Api
from tests.databases import recorded_statements

CONSOLE = Console(PermissionRegistry())


@pytest.fixture
async def other_process(database_url: str) -> AsyncIterator[Database]:
    """The database handle of another process."""
    database = Database.connect(database_url)
    yield database
    await database.close()


async def page_of(auth: Auth, limit: int = 10, **filters: Any) -> dict[str, UserRecord]:
    found = await list_users(auth, CONSOLE, page=Page(limit), filters=UserFilter(**filters))
    return {user.username: user for user in found.users}


def roles_of(user: UserRecord) -> list[str]:
    return [role.name for role in user.roles]


async def change(api: Api, db: Database, statement: str) -> None:
    async with db.begin() as tx:
        await tx.execute(text(statement))
    await api.catch_up_with_changes()


async def give_many_roles(auth: Auth) -> None:
    """Adds users with several roles and with none; disables one and verifies another."""
    names = ("user", "admin", "support")
    ids = [role.id for role in await find_roles_by_name(auth, names)]
    await create_user(auth, CONSOLE, NewUserForm("many"), ids)
    await create_user(auth, CONSOLE, NewUserForm("none"), [])
    async with auth.db.begin() as tx:
        values = {
            "disabled_at": CREATED_AT,
            "last_login_at": CREATED_AT,
            "full_name": "Bob, B.",
        }
        await tx.execute(update(User).where(User.username == "bob").values(**values, version=7))
        verified = update(User).where(User.username == "alice").values(email_verified_at=CREATED_AT)
        await tx.execute(verified)


@pytest.mark.parametrize("filters", [{}, {"disabled": False}, {"search": "a"}, {"role": "admin"}])
async def test_record_equals_that_of_the_orm(auth: Auth, filters: dict[str, Any]) -> None:
    await give_many_roles(auth)
    async with auth.db.read() as session:
        rows = await session.scalars(select(User).options(WITH_ROLES))
        by_orm = {row.username: UserRecord.of(row, auth.permissions) for row in rows}
    found = await page_of(auth, **filters)
    assert found
    assert {name: asdict(user) for name, user in found.items()} == {
        name: asdict(by_orm[name]) for name in found
    }


async def test_roles_are_sorted_by_name(auth: Auth) -> None:
    await give_many_roles(auth)
    assert roles_of((await page_of(auth))["many"]) == ["admin", "support", "user"]


async def test_page_takes_one_query_when_the_roles_are_cached(auth: Auth) -> None:
    await page_of(auth)
    with recorded_statements() as statements:
        await page_of(auth)
    assert len(statements) == 1


async def test_unchanged_user_is_the_cached_record(auth: Auth) -> None:
    assert (await page_of(auth))["alice"] is (await page_of(auth, search="ali"))["alice"]


async def test_username_changed_by_another_process_shows_on_the_next_page(
    api: Api, auth: Auth, other_process: Database
) -> None:
    await page_of(auth)
    await change(
        api, other_process, "UPDATE users SET username = 'alison' WHERE username = 'alice'"
    )
    assert {"alison", "bob"} <= (await page_of(auth)).keys()


async def test_role_renamed_by_another_process_shows_on_the_next_page(
    api: Api, auth: Auth, other_process: Database
) -> None:
    await page_of(auth)
    await change(api, other_process, "UPDATE roles SET name = 'person' WHERE name = 'user'")
    assert roles_of((await page_of(auth))["alice"]) == ["person"]


async def test_changed_permissions_of_a_role_show_on_the_next_page(
    api: Api, auth: Auth, other_process: Database
) -> None:
    assert (await page_of(auth))["audrey"].permissions == {"audit:read", "users:read"}
    await change(api, other_process, "DELETE FROM role_permissions WHERE permission = 'users:read'")
    assert (await page_of(auth))["audrey"].permissions == {"audit:read"}


async def test_new_role_shows_on_the_next_page(
    api: Api, auth: Auth, other_process: Database
) -> None:
    alice = (await page_of(auth))["alice"]
    async with other_process.begin() as tx:
        role = {"id": uuid7(), "name": "new", "description": "", "built_in": False}
        await tx.execute(insert(Role), [role])
        await tx.execute(insert(UserRole), [{"user_id": alice.id, "role_id": role["id"]}])
    await api.catch_up_with_changes()
    assert roles_of((await page_of(auth))["alice"]) == ["new", "user"]


async def test_roles_changed_by_this_process_show_at_once(auth: Auth) -> None:
    alice = (await page_of(auth))["alice"]
    role = await create_role(auth, CONSOLE, RoleForm(name="new"))
    await set_user_roles(auth, CONSOLE, alice.id, [role.id])
    found = await find_user(auth, CONSOLE, alice.id)
    assert found
    assert roles_of(found) == roles_of((await page_of(auth))["alice"]) == ["new"]


async def test_roles_are_not_cached_while_the_change_feed_is_stopped(
    auth: Auth, other_process: Database
) -> None:
    await page_of(auth)
    await auth.db.change_feed.stop()
    async with other_process.begin() as tx:
        await tx.execute(text("UPDATE roles SET name = 'person' WHERE name = 'user'"))
    assert roles_of((await page_of(auth))["alice"]) == ["person"]


async def test_change_while_roles_are_read_is_not_cached(
    auth: Auth, monkeypatch: pytest.MonkeyPatch
) -> None:
    auth.user_rows.everything_changed()
    look_up = auth.db.look_up

    async def look_up_too_slowly(query: Any, values: Any = None) -> Any:
        rows = await look_up(query, values)
        auth.user_rows.everything_changed()
        return rows

    monkeypatch.setattr(auth.db, "look_up", look_up_too_slowly)
    assert roles_of((await page_of(auth))["alice"]) == ["user"]
    assert len(auth.user_rows) == 0


async def test_cache_entries_expire_after_a_minute(
    auth: Auth, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = (await page_of(auth))["alice"]
    later = time.monotonic() + MAX_AGE_SECONDS
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert (await page_of(auth))["alice"] is not alice


async def test_cache_of_users_is_bounded(auth: Auth) -> None:
    small = UserRows(auth.db, auth.permissions, max_users=3)
    object.__setattr__(auth, "user_rows", small)
    for _ in range(2):
        assert {ALICE.username, BOB.username} <= (await page_of(auth)).keys()
        assert len(auth.user_rows) == 3


async def test_cache_of_role_sets_is_bounded(auth: Auth) -> None:
    small = UserRows(auth.db, auth.permissions, max_role_sets=1)
    object.__setattr__(auth, "user_rows", small)
    await give_many_roles(auth)
    found = await page_of(auth)
    assert roles_of(found["many"]) == ["admin", "support", "user"]
    assert roles_of(found["none"]) == []
    assert auth.user_rows.role_sets == 1


async def test_page_does_not_wait_for_a_write_transaction(
    auth: Auth, other_process: Database
) -> None:
    await page_of(auth)
    async with other_process.begin() as tx:
        await tx.execute(text("UPDATE users SET full_name = 'x'"))
        # A read that waits for the writer would time out in this block.
        assert (await page_of(auth))["alice"].full_name is None


async def test_page_is_unavailable_without_the_database(api: Api, auth: Auth) -> None:
    await page_of(auth)
    for search in (None, "a"):
        with api.without_database(), pytest.raises(DatabaseUnavailable):
            await page_of(auth, search=search)


async def test_role_that_was_deleted_after_the_users_were_read_is_left_out(
    auth: Auth, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up = auth.db.look_up

    async def look_up_after_deletion(query: Any, values: Any = None) -> Any:
        return [] if "ids" in (values or {}) else await look_up(query, values)

    auth.user_rows.everything_changed()
    monkeypatch.setattr(auth.db, "look_up", look_up_after_deletion)
    assert roles_of((await page_of(auth))["alice"]) == []
