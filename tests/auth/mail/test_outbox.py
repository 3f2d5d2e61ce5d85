"""The outbox: emails are queued in transactions."""

import pytest
from sqlalchemy import select

from auth.mail.outbox import EmailKind, queue_email, queue_notice
from auth.wiring import Auth
from models.base import uuid7
from models.outgoing_email import OutgoingEmail
from models.user import User
from tests.api import Api


@pytest.fixture
def auth(sqlite_api: Api) -> Auth:
    return sqlite_api.auth


async def list_outbox(auth: Auth) -> list[OutgoingEmail]:
    async with auth.db.read() as session:
        return list(await session.scalars(select(OutgoingEmail)))


async def test_queued_email_is_due_immediately(auth: Auth) -> None:
    async with auth.db.begin() as tx:
        email_id = queue_email(tx, auth, EmailKind.TEST, email="a@example.com")
    (email,) = await list_outbox(auth)
    assert (email.id, email.kind, email.about) == (email_id, "test", {"email": "a@example.com"})
    assert email.next_attempt_at == auth.clock.now()


async def test_rollback_discards_queued_email(auth: Auth) -> None:
    async with auth.db.begin() as tx:
        queue_email(tx, auth, EmailKind.TEST, email="a@example.com")
        await tx.rollback()
    assert await list_outbox(auth) == []


async def test_server_without_email_queues_nothing(auth: Auth) -> None:
    object.__setattr__(auth, "sends_email", False)
    async with auth.db.begin() as tx:
        assert queue_email(tx, auth, EmailKind.TEST, email="a@example.com") is None
    assert await list_outbox(auth) == []


@pytest.mark.parametrize(("address", "count"), [("a@example.com", 1), (None, 0)])
async def test_notice_is_queued_for_accounts_with_email(
    auth: Auth, address: str | None, count: int
) -> None:
    user = User(id=uuid7(), username="alice")
    async with auth.db.begin() as tx:
        kind = EmailKind.PASSWORD_CHANGED
        queue_notice(tx, auth, kind, user, address)
    emails = await list_outbox(auth)
    about = {"user_id": str(user.id), "username": "alice", "email": address}
    assert [email.about for email in emails] == [about] * count
