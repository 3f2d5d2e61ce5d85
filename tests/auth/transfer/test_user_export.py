"""All accounts leave as they are, page by page, and the trail knows of it."""

from typing import Any

import pytest
from sqlalchemy import select

from auth.audit import Action
from auth.errors import Forbidden
from auth.transfer import user_export
from auth.transfer.import_lines import FIELDS
from auth.transfer.user_export import export_users
from auth.wiring import Auth
from models.audit_event import AuditEvent
from tests.accounts import ALICE, ALL_ACCOUNTS, OPERATOR, cheap_hash
from tests.auth.transfer.test_user_import import run


async def exported(auth: Auth, *, with_password_hashes: bool = False) -> list[dict[str, Any]]:
    pages = export_users(auth, OPERATOR, with_password_hashes=with_password_hashes)
    return [account async for page in pages for account in page]


async def test_an_account_leaves_with_all_that_an_import_needs(auth: Auth) -> None:
    accounts = await exported(auth, with_password_hashes=True)
    alice = next(account for account in accounts if account["username"] == "alice")
    assert set(alice) == set(FIELDS)
    assert (alice["email"], alice["roles"]) == ("alice@example.com", ["user"])
    assert alice["password_hash"] == cheap_hash(ALICE.password)
    assert alice["created_at"] == "2026-01-01T00:00:00Z"


async def test_no_hash_leaves_unasked(auth: Auth) -> None:
    accounts = await exported(auth)
    assert len(accounts) == len(ALL_ACCOUNTS)
    assert not any("password_hash" in account for account in accounts)


@pytest.mark.parametrize("page", [1, 2, 5, 6])
async def test_pages_leave_nobody_out(
    auth: Auth, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(user_export, "PAGE", page)
    names = [account["username"] for account in await exported(auth)]
    assert names == [account.username for account in ALL_ACCOUNTS]


async def test_what_leaves_can_come_again(auth: Auth) -> None:
    accounts = await exported(auth, with_password_hashes=True)
    report = await run(auth, *accounts)
    assert (report.counts, report.said) == ((0, len(ALL_ACCOUNTS), 0), [])


async def test_the_trail_knows_before_the_first_account_is_out(auth: Auth) -> None:
    await anext(export_users(auth, OPERATOR, with_password_hashes=True))
    async with auth.db.read() as session:
        query = select(AuditEvent).where(AuditEvent.action == Action.USERS_EXPORTED)
        event = (await session.scalars(query)).one()
    assert event.details == {"password_hashes": "yes"}


async def test_whoever_may_only_read_may_not_export(auth: Auth) -> None:
    class Reader:
        user_id = None
        session_id = None
        client = OPERATOR.client
        permissions = frozenset({"users:read"})

    with pytest.raises(Forbidden):
        await anext(export_users(auth, Reader(), with_password_hashes=False))
