"""Edits of a user by an operator."""

import asyncio
from uuid import uuid4

import pytest
from sqlalchemy import update

from auth.account_deletion import delete_user
from auth.clients import Client
from auth.errors import (
    EditConflict,
    Forbidden,
    Refusals,
    SessionRevoked,
    UserNotFound,
)
from auth.records import UserRecord
from auth.role_edits import RoleForm, create_role
from auth.user_access import revoke_user_sessions, set_user_roles
from auth.user_edits import UserEdit, update_user
from auth.users import find_user_by_name
from auth.viewers import get_viewer
from auth.wiring import Auth
from models.user import User
from tests.accounts import ADMIN, ALICE, BOB, OPERATOR, SUPPORT, Account
from tests.api import Api
from tests.mutations import viewer_for

HERE = Client("192.0.2.7", "test")
FIRST = "what the operator said"
OWN = "what nobody else knows"


async def get(auth: Auth, account: Account) -> UserRecord:
    user = await find_user_by_name(auth, account.username)
    assert user
    return user


async def test_update_changes_only_the_given_fields(auth: Auth) -> None:
    alice = await get(auth, ALICE)
    edited = await update_user(auth, OPERATOR, alice.id, UserEdit(full_name="Alice L."))
    assert (edited.full_name, edited.username, edited.email) == (
        "Alice L.",
        "alice",
        ALICE.email,
    )


async def test_update_removes_a_value(auth: Auth) -> None:
    alice = await get(auth, ALICE)
    edited = await update_user(auth, OPERATOR, alice.id, UserEdit(email=None))
    assert (edited.email, edited.email_verified) == (None, False)


async def test_update_accepts_another_spelling_of_the_same_username(auth: Auth) -> None:
    alice = await get(auth, ALICE)
    edit = UserEdit(username="Alice", email="alice@EXAMPLE.com")
    assert (await update_user(auth, OPERATOR, alice.id, edit)).username == "Alice"


async def test_update_refuses_taken_names(auth: Auth) -> None:
    alice = await get(auth, ALICE)
    with pytest.raises(Refusals) as refused:
        await update_user(auth, OPERATOR, alice.id, UserEdit("BOB", BOB.email))
    found = [refusal.code for refusal in refused.value.refusals]
    assert found == ["USERNAME_TAKEN", "EMAIL_TAKEN"]


async def test_update_is_refused_with_all_problems(auth: Auth) -> None:
    alice = await get(auth, ALICE)
    with pytest.raises(Refusals) as refused:
        await update_user(auth, OPERATOR, alice.id, UserEdit("?", "?", "\0"))
    assert [refusal.field for refusal in refused.value.refusals] == [
        "username",
        "email",
        "full_name",
    ]


async def test_update_with_an_old_version_is_a_conflict(auth: Auth) -> None:
    alice = await get(auth, ALICE)
    edits = [UserEdit(full_name=f"Alice {n}", version=alice.version) for n in range(5)]
    outcomes = await asyncio.gather(
        *(update_user(auth, OPERATOR, alice.id, edit) for edit in edits),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, EditConflict) for outcome in outcomes) == 4


async def test_set_roles_checks_the_same_version(auth: Auth) -> None:
    alice = await get(auth, ALICE)
    await set_user_roles(auth, OPERATOR, alice.id, [], alice.version)
    with pytest.raises(EditConflict):
        await set_user_roles(auth, OPERATOR, alice.id, [], alice.version)


async def test_update_of_a_more_powerful_user_is_refused(api: Api) -> None:
    clerk = await create_role(api.auth, OPERATOR, RoleForm("clerk", "", ["users:write"]))
    bob = await get(api.auth, BOB)
    await set_user_roles(api.auth, OPERATOR, bob.id, [clerk.id])
    admin = await get(api.auth, ADMIN)
    actor = await viewer_for(api, BOB)
    with pytest.raises(Forbidden):
        await update_user(api.auth, actor, admin.id, UserEdit(email="mine@example.com"))
    with pytest.raises(Forbidden):
        await delete_user(api.auth, actor, admin.id)


async def test_update_of_an_unknown_user_is_refused(auth: Auth) -> None:
    with pytest.raises(UserNotFound):
        await update_user(auth, OPERATOR, uuid4(), UserEdit(full_name="x"))


async def test_operator_ends_the_sessions_of_a_user(api: Api) -> None:
    token = await api.log_in(ALICE)
    actor = await viewer_for(api, SUPPORT)
    alice = await get(api.auth, ALICE)
    assert await revoke_user_sessions(api.auth, actor, alice.id) == 1
    with pytest.raises(SessionRevoked):
        await get_viewer(api.auth, HERE, token)


async def test_edit_shows_in_the_next_request(api: Api) -> None:
    token = await api.log_in(ALICE)
    before = await get_viewer(api.auth, HERE, token)
    await update_user(api.auth, OPERATOR, before.user_id, UserEdit(full_name="New"))
    assert (await get_viewer(api.auth, HERE, token)).user.full_name == "New"


async def test_edit_by_hand_shows_in_the_next_request(api: Api) -> None:
    token = await api.log_in(ALICE)
    async with api.auth.db.begin() as tx:
        await tx.execute(update(User).where(User.username == "alice").values(full_name="Hand"))
    assert (await get_viewer(api.auth, HERE, token)).user.full_name == "Hand"
