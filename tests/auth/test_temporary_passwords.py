"""Temporary passwords: the user must replace them within seven days."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, update

from auth.clients import Client
from auth.errors import (
    Forbidden,
    InvalidCredentials,
    LinkInvalid,
    PasswordChangeRequired,
    Refusals,
    SessionRevoked,
    TemporaryPasswordExpired,
    UserNotFound,
)
from auth.login import log_in
from auth.password_reset import request_password_reset, reset_password
from auth.permissions import Actor
from auth.temporary_passwords import set_temporary_password
from auth.transfer.import_lines import ImportLine
from auth.transfer.user_import import import_users
from auth.user_creation import NewUserForm, create_user
from auth.users import find_user_by_name
from auth.viewers import get_viewer
from auth.wiring import Auth
from models.audit_event import AuditEvent
from models.base import uuid7
from models.user import User
from tests.accounts import ADMIN, ALICE, OPERATOR, SUPPORT, cheap_hash
from tests.api import Api
from tests.clock import ManualClock
from tests.emails import Mailbox
from tests.mutations import viewer_for

HERE = Client("192.0.2.7", "test")
TEMPORARY = "tulips in november"
ANOTHER = "tulips in february"
OWN = "roses in december"


async def create(api: Api, admin: str) -> UUID:
    """Creates Carol with a temporary password, as an admin."""
    operator = await get_viewer(api.auth, Client(), admin)
    form = NewUserForm("carol", "carol@example.com", None, TEMPORARY)
    return (await create_user(api.auth, operator, form, [])).id


async def sign_in(api: Api, password: str, new: str | None = None, name: str = "carol") -> None:
    await log_in(api.auth, Client(), username=name, password=password, new_password=new)


async def test_temporary_password_works_for_seven_days(
    api: Api, admin: str, clock: ManualClock
) -> None:
    await create(api, admin)
    clock.tick(days=7, seconds=-1)
    with pytest.raises(PasswordChangeRequired):
        await sign_in(api, TEMPORARY)
    await sign_in(api, TEMPORARY, OWN)
    clock.tick(days=30)
    await sign_in(api, OWN)


async def test_temporary_password_expires_after_seven_days(
    api: Api, admin: str, clock: ManualClock
) -> None:
    await create(api, admin)
    clock.tick(days=7)
    for new in (None, OWN):
        with pytest.raises(TemporaryPasswordExpired):
            await sign_in(api, TEMPORARY, new)
    # The expiry is reported only for the right password.
    with pytest.raises(InvalidCredentials):
        await sign_in(api, "a guess", OWN)
    query = select(AuditEvent.details).where(AuditEvent.action == "session.started")
    async with api.auth.db.read() as session:
        details = list(await session.scalars(query.where(AuditEvent.succeeded.is_(False))))
    assert {each["reason"] for each in details} == {
        "temporary_password_expired",
        "wrong_credentials",
    }


async def test_expired_temporary_password_is_refused_at_the_token_endpoint(
    api: Api, admin: str, clock: ManualClock
) -> None:
    await create(api, admin)
    clock.tick(days=7)
    form = {"grant_type": "password", "username": "carol", "password": TEMPORARY}
    reply = await api.http.post("/token", data=form)
    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_grant")


async def test_expired_temporary_password_can_be_reset(
    api: Api, admin: str, clock: ManualClock, mailbox: Mailbox
) -> None:
    await create(api, admin)
    clock.tick(days=8)
    await request_password_reset(api.auth, Client(), email="carol@example.com")
    await api.send_emails()
    token = mailbox.last("carol@example.com").token
    await reset_password(api.auth, Client(), token=token, new=OWN)
    await sign_in(api, OWN)


async def test_operator_replaces_a_temporary_password(
    api: Api, admin: str, clock: ManualClock
) -> None:
    carol = await create(api, admin)
    clock.tick(days=8)
    await set_temporary_password(api.auth, OPERATOR, carol, ANOTHER)
    with pytest.raises(InvalidCredentials):
        await sign_in(api, TEMPORARY, OWN)
    clock.tick(days=6)
    await sign_in(api, ANOTHER, OWN)


async def test_temporary_password_ends_sessions_and_links(
    api: Api, alice: str, mailbox: Mailbox
) -> None:
    await request_password_reset(api.auth, Client(), email=ALICE.email)
    await api.send_emails()
    token = mailbox.last(ALICE.email).token
    await set_temporary_password(api.auth, OPERATOR, await id_of(api, ALICE.username), TEMPORARY)
    with pytest.raises(SessionRevoked):
        await get_viewer(api.auth, Client(), alice)
    with pytest.raises(LinkInvalid):
        await reset_password(api.auth, Client(), token=token, new=OWN)
    await api.send_emails()
    assert "password" in mailbox.last(ALICE.email).subject


async def test_temporary_password_for_a_more_powerful_user_is_refused(api: Api, admin: str) -> None:
    support: Actor = await get_viewer(api.auth, Client(), await api.log_in(SUPPORT))
    for actor in (support, await get_viewer(api.auth, Client(), await api.log_in(ALICE))):
        with pytest.raises(Forbidden):
            await set_temporary_password(
                api.auth, actor, await id_of(api, ADMIN.username), TEMPORARY
            )
    assert await get_viewer(api.auth, Client(), admin)


async def test_temporary_password_is_checked_against_the_policy(api: Api) -> None:
    alice = await id_of(api, ALICE.username)
    with pytest.raises(Refusals):
        await set_temporary_password(api.auth, OPERATOR, alice, "alice")
    with pytest.raises(UserNotFound):
        await set_temporary_password(api.auth, OPERATOR, uuid7(), TEMPORARY)


async def test_imported_temporary_password_expires_after_seven_days(
    api: Api, clock: ManualClock
) -> None:
    fields = {
        "username": "carol",
        "created_at": "2019-05-17T09:30:00Z",
        "password_hash": cheap_hash(TEMPORARY),
        "password_is_temporary": True,
    }
    counts = await import_users(api.auth, OPERATOR, [ImportLine(1, fields)], report=print)
    assert counts.imported == 1
    clock.tick(days=6)
    with pytest.raises(PasswordChangeRequired):
        await sign_in(api, TEMPORARY)
    clock.tick(days=1)
    with pytest.raises(TemporaryPasswordExpired):
        await sign_in(api, TEMPORARY, OWN)


async def test_temporary_password_of_an_older_version_expires(
    api: Api, admin: str, clock: ManualClock
) -> None:
    carol = await create(api, admin)
    async with api.auth.db.begin() as tx:
        older = update(User).where(User.id == carol).values(temporary_password_expires_at=None)
        await tx.execute(older)
    with pytest.raises(PasswordChangeRequired):
        await sign_in(api, TEMPORARY)
    clock.tick(seconds=timedelta(days=7).total_seconds())
    with pytest.raises(TemporaryPasswordExpired):
        await sign_in(api, TEMPORARY, OWN)


async def id_of(api: Api, username: str) -> UUID:
    user = await find_user_by_name(api.auth, username)
    assert user
    return user.id


# The password of a user whom an operator creates


async def test_password_chosen_by_an_operator_must_be_replaced(api: Api) -> None:
    form = NewUserForm("carol", None, None, TEMPORARY)
    await create_user(api.auth, await viewer_for(api, ADMIN), form, [])
    with pytest.raises(PasswordChangeRequired):
        await log_in(api.auth, HERE, username="carol", password=TEMPORARY)
    with pytest.raises(PasswordChangeRequired):
        await log_in(api.auth, HERE, username="carol", password=TEMPORARY, new_password=TEMPORARY)
    await log_in(api.auth, HERE, username="carol", password=TEMPORARY, new_password=OWN)
    with pytest.raises(InvalidCredentials):
        await log_in(api.auth, HERE, username="carol", password=TEMPORARY)
    assert await log_in(api.auth, HERE, username="carol", password=OWN)


async def test_replacement_is_checked_against_the_policy(api: Api) -> None:
    form = NewUserForm("carol", None, None, TEMPORARY)
    await create_user(api.auth, await viewer_for(api, ADMIN), form, [])
    with pytest.raises(Refusals) as refused:
        await log_in(api.auth, HERE, username="carol", password=TEMPORARY, new_password="carol")
    assert {refusal.field for refusal in refused.value.refusals} == {"new_password"}


async def test_password_of_an_operator_is_checked_against_the_policy(api: Api) -> None:
    form = NewUserForm("carol", None, None, "password")
    with pytest.raises(Refusals):
        await create_user(api.auth, await viewer_for(api, ADMIN), form, [])


async def test_wrong_password_does_not_show_that_it_is_temporary(api: Api) -> None:
    form = NewUserForm("carol", None, None, TEMPORARY)
    await create_user(api.auth, await viewer_for(api, ADMIN), form, [])
    with pytest.raises(InvalidCredentials):
        await log_in(api.auth, HERE, username="carol", password="a guess", new_password=OWN)


async def test_new_password_is_ignored_for_permanent_passwords(api: Api) -> None:
    await log_in(api.auth, HERE, username="alice", password=ALICE.password, new_password=OWN)
    assert await api.log_in(ALICE)


async def test_user_created_without_a_password_gets_a_link(api: Api, mailbox: Mailbox) -> None:
    form = NewUserForm("carol", "carol@example.com")
    await create_user(api.auth, await viewer_for(api, ADMIN), form, [])
    await api.send_emails()
    token = mailbox.last("carol@example.com").token
    await reset_password(api.auth, HERE, token=token, new=OWN)
    assert await log_in(api.auth, HERE, username="carol", password=OWN)


async def test_password_chosen_at_the_console_is_permanent(auth: Auth) -> None:
    await create_user(auth, OPERATOR, NewUserForm("carol", None, None, OWN), [])
    assert await log_in(auth, HERE, username="carol", password=OWN)
