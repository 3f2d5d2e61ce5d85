"""Account deletion by the user and by an operator."""

import asyncio

import pytest
from sqlalchemy import func, select

from auth.account_deletion import delete_account, delete_user
from auth.clients import Client
from auth.errors import (
    LastAdmin,
    TokenInvalid,
    UserNotFound,
    WrongPassword,
)
from auth.records import UserRecord
from auth.roles import find_roles_by_name
from auth.user_access import set_user_roles
from auth.users import find_user_by_name
from auth.viewers import get_viewer
from auth.wiring import Auth
from models.audit_event import AuditEvent
from models.role import UserRole
from models.session import Session
from tests.accounts import ADMIN, ALICE, BOB, OPERATOR, Account
from tests.api import Api
from tests.emails import Mailbox
from tests.mutations import viewer_for

HERE = Client("192.0.2.7", "test")
FIRST = "what the operator said"
OWN = "what nobody else knows"


async def get(auth: Auth, account: Account) -> UserRecord:
    user = await find_user_by_name(auth, account.username)
    assert user
    return user


async def test_deletion_leaves_only_audit_events(api: Api, mailbox: Mailbox) -> None:
    viewer = await viewer_for(api, ALICE)
    await delete_account(api.auth, viewer, password=ALICE.password)
    async with api.auth.db.read() as session:
        for table in (Session, UserRole):
            left = select(func.count()).where(table.user_id == viewer.user_id)
            assert await session.scalar(left) == 0
        last = select(AuditEvent.action).order_by(AuditEvent.id.desc()).limit(1)
        assert await session.scalar(last) == "user.deleted"
    await api.send_emails()
    assert "was deleted" in mailbox.last(ALICE.email).subject


async def test_deletion_ends_access_immediately(api: Api) -> None:
    token = await api.log_in(ALICE)
    await delete_account(api.auth, await viewer_for(api, ALICE), password=ALICE.password)
    with pytest.raises(TokenInvalid):
        await get_viewer(api.auth, HERE, token)


async def test_wrong_password_is_refused(api: Api) -> None:
    with pytest.raises(WrongPassword):
        await delete_account(api.auth, await viewer_for(api, ALICE), password="a guess")
    assert await api.log_in(ALICE)


async def test_last_admin_cannot_be_deleted(api: Api) -> None:
    viewer = await viewer_for(api, ADMIN)
    with pytest.raises(LastAdmin):
        await delete_account(api.auth, viewer, password=ADMIN.password)
    with pytest.raises(LastAdmin):
        await delete_user(api.auth, OPERATOR, viewer.user_id)


async def test_concurrent_deletions_keep_one_admin(api: Api) -> None:
    (role,) = await find_roles_by_name(api.auth, ["admin"])
    alice, admin = await get(api.auth, ALICE), await get(api.auth, ADMIN)
    await set_user_roles(api.auth, OPERATOR, alice.id, [role.id])
    outcomes = await asyncio.gather(
        delete_user(api.auth, OPERATOR, alice.id),
        set_user_roles(api.auth, OPERATOR, admin.id, []),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, LastAdmin) for outcome in outcomes) == 1


async def test_operator_deletes_a_user(api: Api) -> None:
    bob = await get(api.auth, BOB)
    await delete_user(api.auth, await viewer_for(api, ADMIN), bob.id)
    assert await find_user_by_name(api.auth, "bob") is None
    with pytest.raises(UserNotFound):
        await delete_user(api.auth, OPERATOR, bob.id)
