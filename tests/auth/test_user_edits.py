"""What operators change about accounts; what a person changes about themselves."""

import asyncio
import json
from uuid import uuid4

import pytest
from sqlalchemy import func, select, update

from auth.account_deletion import delete_account, delete_user
from auth.account_export import export_account
from auth.clients import Client
from auth.errors import (
    EditConflict,
    Forbidden,
    FullNameInvalid,
    InvalidCredentials,
    LastAdmin,
    PasswordChangeRequired,
    RateLimited,
    Refusals,
    SessionRevoked,
    TokenInvalid,
    UserNotFound,
    WrongPassword,
)
from auth.login import log_in
from auth.password_reset import reset_password
from auth.profile import update_profile
from auth.records import UserRecord
from auth.role_edits import RoleForm, create_role
from auth.roles import find_roles_by_name
from auth.user_access import revoke_user_sessions, set_user_roles
from auth.user_creation import NewUserForm, create_user
from auth.user_edits import UserEdit, update_user
from auth.users import find_user_by_name
from auth.viewers import Viewer, get_viewer
from auth.wiring import Auth
from models.audit_event import AuditEvent
from models.role import UserRole
from models.session import Session
from models.user import User
from tests.accounts import ADMIN, ALICE, BOB, OPERATOR, SUPPORT, Account
from tests.api import Api
from tests.emails import Mailbox

HERE = Client("192.0.2.7", "test")
FIRST = "what the operator said"
OWN = "what nobody else knows"


async def get(auth: Auth, account: Account) -> UserRecord:
    user = await find_user_by_name(auth, account.username)
    assert user
    return user


async def view(api: Api, account: Account) -> Viewer:
    return await get_viewer(api.auth, HERE, await api.log_in(account))


class TestEdits:
    """`update_user`."""

    async def test_only_what_is_given_changes(self, auth: Auth) -> None:
        alice = await get(auth, ALICE)
        edited = await update_user(auth, OPERATOR, alice.id, UserEdit(full_name="Alice L."))
        assert (edited.full_name, edited.username, edited.email) == (
            "Alice L.",
            "alice",
            ALICE.email,
        )

    async def test_a_value_can_be_taken_away(self, auth: Auth) -> None:
        alice = await get(auth, ALICE)
        edited = await update_user(auth, OPERATOR, alice.id, UserEdit(email=None))
        assert (edited.email, edited.email_verified) == (None, False)

    async def test_another_spelling_of_ones_own_name_is_not_taken(self, auth: Auth) -> None:
        alice = await get(auth, ALICE)
        edit = UserEdit(username="Alice", email="alice@EXAMPLE.com")
        assert (await update_user(auth, OPERATOR, alice.id, edit)).username == "Alice"

    async def test_a_name_of_another_is_taken(self, auth: Auth) -> None:
        alice = await get(auth, ALICE)
        with pytest.raises(Refusals) as refused:
            await update_user(auth, OPERATOR, alice.id, UserEdit("BOB", BOB.email))
        found = [refusal.code for refusal in refused.value.refusals]
        assert found == ["USERNAME_TAKEN", "EMAIL_TAKEN"]

    async def test_everything_that_is_wrong_is_told(self, auth: Auth) -> None:
        alice = await get(auth, ALICE)
        with pytest.raises(Refusals) as refused:
            await update_user(auth, OPERATOR, alice.id, UserEdit("?", "?", "\0"))
        assert [refusal.field for refusal in refused.value.refusals] == [
            "username",
            "email",
            "full_name",
        ]

    async def test_of_two_operators_the_second_is_told(self, auth: Auth) -> None:
        alice = await get(auth, ALICE)
        edits = [UserEdit(full_name=f"Alice {n}", version=alice.version) for n in range(5)]
        outcomes = await asyncio.gather(
            *(update_user(auth, OPERATOR, alice.id, edit) for edit in edits),
            return_exceptions=True,
        )
        assert sum(isinstance(outcome, EditConflict) for outcome in outcomes) == 4

    async def test_roles_are_edited_by_the_same_count(self, auth: Auth) -> None:
        alice = await get(auth, ALICE)
        await set_user_roles(auth, OPERATOR, alice.id, [], alice.version)
        with pytest.raises(EditConflict):
            await set_user_roles(auth, OPERATOR, alice.id, [], alice.version)

    async def test_nobody_edits_somebody_more_powerful(self, api: Api) -> None:
        clerk = await create_role(api.auth, OPERATOR, RoleForm("clerk", "", ["users:write"]))
        bob = await get(api.auth, BOB)
        await set_user_roles(api.auth, OPERATOR, bob.id, [clerk.id])
        admin = await get(api.auth, ADMIN)
        actor = await view(api, BOB)
        with pytest.raises(Forbidden):
            await update_user(api.auth, actor, admin.id, UserEdit(email="mine@example.com"))
        with pytest.raises(Forbidden):
            await delete_user(api.auth, actor, admin.id)

    async def test_who_is_not_there_cannot_be_edited(self, auth: Auth) -> None:
        with pytest.raises(UserNotFound):
            await update_user(auth, OPERATOR, uuid4(), UserEdit(full_name="x"))

    async def test_sessions_of_another_are_ended(self, api: Api) -> None:
        token = await api.log_in(ALICE)
        actor = await view(api, SUPPORT)
        alice = await get(api.auth, ALICE)
        assert await revoke_user_sessions(api.auth, actor, alice.id) == 1
        with pytest.raises(SessionRevoked):
            await get_viewer(api.auth, HERE, token)


class TestFirstPasswords:
    """Accounts that somebody else made."""

    async def test_an_operators_password_is_good_for_choosing_another(self, api: Api) -> None:
        form = NewUserForm("carol", None, None, FIRST)
        await create_user(api.auth, await view(api, ADMIN), form, [])
        with pytest.raises(PasswordChangeRequired):
            await log_in(api.auth, HERE, username="carol", password=FIRST)
        with pytest.raises(PasswordChangeRequired):
            await log_in(api.auth, HERE, username="carol", password=FIRST, new_password=FIRST)
        await log_in(api.auth, HERE, username="carol", password=FIRST, new_password=OWN)
        with pytest.raises(InvalidCredentials):
            await log_in(api.auth, HERE, username="carol", password=FIRST)
        assert await log_in(api.auth, HERE, username="carol", password=OWN)

    async def test_the_policy_holds_for_the_one_that_is_chosen(self, api: Api) -> None:
        form = NewUserForm("carol", None, None, FIRST)
        await create_user(api.auth, await view(api, ADMIN), form, [])
        with pytest.raises(Refusals) as refused:
            await log_in(api.auth, HERE, username="carol", password=FIRST, new_password="carol")
        assert {refusal.field for refusal in refused.value.refusals} == {"new_password"}

    async def test_the_policy_holds_for_the_operators_too(self, api: Api) -> None:
        form = NewUserForm("carol", None, None, "password")
        with pytest.raises(Refusals):
            await create_user(api.auth, await view(api, ADMIN), form, [])

    async def test_a_wrong_guess_learns_nothing_of_it(self, api: Api) -> None:
        form = NewUserForm("carol", None, None, FIRST)
        await create_user(api.auth, await view(api, ADMIN), form, [])
        with pytest.raises(InvalidCredentials):
            await log_in(api.auth, HERE, username="carol", password="a guess", new_password=OWN)

    async def test_a_new_password_means_nothing_to_others(self, api: Api) -> None:
        await log_in(api.auth, HERE, username="alice", password=ALICE.password, new_password=OWN)
        assert await api.log_in(ALICE)

    async def test_without_one_a_link_to_choose_it_is_sent(
        self, api: Api, mailbox: Mailbox
    ) -> None:
        form = NewUserForm("carol", "carol@example.com")
        await create_user(api.auth, await view(api, ADMIN), form, [])
        await api.send_emails()
        token = mailbox.last("carol@example.com").token
        await reset_password(api.auth, HERE, token=token, new=OWN)
        assert await log_in(api.auth, HERE, username="carol", password=OWN)

    async def test_at_the_console_it_is_kept(self, auth: Auth) -> None:
        await create_user(auth, OPERATOR, NewUserForm("carol", None, None, OWN), [])
        assert await log_in(auth, HERE, username="carol", password=OWN)


class TestDeletion:
    """The end of an account."""

    async def test_nothing_of_it_is_left_but_the_trail(self, api: Api, mailbox: Mailbox) -> None:
        viewer = await view(api, ALICE)
        await delete_account(api.auth, viewer, password=ALICE.password)
        async with api.auth.db.read() as session:
            for table in (Session, UserRole):
                left = select(func.count()).where(table.user_id == viewer.user_id)
                assert await session.scalar(left) == 0
            last = select(AuditEvent.action).order_by(AuditEvent.id.desc()).limit(1)
            assert await session.scalar(last) == "user.deleted"
        await api.send_emails()
        assert "was deleted" in mailbox.last(ALICE.email).subject

    async def test_its_tokens_are_nobodys_at_once(self, api: Api) -> None:
        token = await api.log_in(ALICE)
        await delete_account(api.auth, await view(api, ALICE), password=ALICE.password)
        with pytest.raises(TokenInvalid):
            await get_viewer(api.auth, HERE, token)

    async def test_it_takes_the_password(self, api: Api) -> None:
        with pytest.raises(WrongPassword):
            await delete_account(api.auth, await view(api, ALICE), password="a guess")
        assert await api.log_in(ALICE)

    async def test_the_last_administrator_stays(self, api: Api) -> None:
        viewer = await view(api, ADMIN)
        with pytest.raises(LastAdmin):
            await delete_account(api.auth, viewer, password=ADMIN.password)
        with pytest.raises(LastAdmin):
            await delete_user(api.auth, OPERATOR, viewer.user_id)

    async def test_of_two_administrators_who_go_at_once_one_stays(self, api: Api) -> None:
        (role,) = await find_roles_by_name(api.auth, ["admin"])
        alice, admin = await get(api.auth, ALICE), await get(api.auth, ADMIN)
        await set_user_roles(api.auth, OPERATOR, alice.id, [role.id])
        outcomes = await asyncio.gather(
            delete_user(api.auth, OPERATOR, alice.id),
            set_user_roles(api.auth, OPERATOR, admin.id, []),
            return_exceptions=True,
        )
        assert sum(isinstance(outcome, LastAdmin) for outcome in outcomes) == 1

    async def test_an_operator_deletes_others(self, api: Api) -> None:
        bob = await get(api.auth, BOB)
        await delete_user(api.auth, await view(api, ADMIN), bob.id)
        assert await find_user_by_name(api.auth, "bob") is None
        with pytest.raises(UserNotFound):
            await delete_user(api.auth, OPERATOR, bob.id)


class TestProfile:
    """What one changes about oneself."""

    async def test_the_name_for_people_changes(self, api: Api) -> None:
        viewer = await view(api, ALICE)
        assert (await update_profile(api.auth, viewer, full_name=" Al ")).full_name == "Al"
        assert (await update_profile(api.auth, viewer, full_name=None)).full_name is None

    async def test_an_older_form_is_refused(self, api: Api) -> None:
        viewer = await view(api, ALICE)
        await update_profile(api.auth, viewer, full_name="Al")
        with pytest.raises(EditConflict):
            await update_profile(api.auth, viewer, full_name="x", version=viewer.user.version)

    async def test_what_is_no_name_is_refused(self, api: Api) -> None:
        with pytest.raises(FullNameInvalid):
            await update_profile(api.auth, await view(api, ALICE), full_name="\u202e")


class TestExport:
    """All that is kept about one person."""

    async def test_it_holds_account_sessions_and_events(self, api: Api) -> None:
        document = json.loads(await export_account(api.auth, await view(api, ALICE)))
        assert document["account"]["email"] == ALICE.email
        assert len(document["sessions"]) == 1
        assert [event["action"] for event in document["events"]] == ["session.started"]

    async def test_it_holds_no_hash_and_nobody_else(self, api: Api) -> None:
        await view(api, BOB)
        text = await export_account(api.auth, await view(api, ALICE))
        assert "$" not in text
        assert "bob" not in text

    async def test_it_does_not_tell_where_an_operator_is(self, api: Api) -> None:
        alice = await get(api.auth, ALICE)
        await update_user(api.auth, await view(api, ADMIN), alice.id, UserEdit(full_name="A"))
        document = json.loads(await export_account(api.auth, await view(api, ALICE)))
        (edit,) = [e for e in document["events"] if e["action"] == "user.edited"]
        assert "client_address" not in edit

    async def test_it_is_not_to_be_had_without_end(self, api: Api) -> None:
        viewer = await view(api, ALICE)
        for _ in range(5):
            await export_account(api.auth, viewer)
        with pytest.raises(RateLimited):
            await export_account(api.auth, viewer)


async def test_an_edit_is_known_to_the_next_request(api: Api) -> None:
    token = await api.log_in(ALICE)
    before = await get_viewer(api.auth, HERE, token)
    await update_user(api.auth, OPERATOR, before.user_id, UserEdit(full_name="New"))
    assert (await get_viewer(api.auth, HERE, token)).user.full_name == "New"


async def test_an_edit_by_hand_is_too(api: Api) -> None:
    token = await api.log_in(ALICE)
    async with api.auth.db.begin() as tx:
        await tx.execute(update(User).where(User.username == "alice").values(full_name="Hand"))
    assert (await get_viewer(api.auth, HERE, token)).user.full_name == "Hand"
