"""Export of users."""

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


async def test_export_contains_all_import_fields(auth: Auth) -> None:
    accounts = await exported(auth, with_password_hashes=True)
    alice = next(account for account in accounts if account["username"] == "alice")
    assert set(alice) == set(FIELDS)
    assert (alice["email"], alice["roles"]) == ("alice@example.com", ["user"])
    assert alice["password_hash"] == cheap_hash(ALICE.password)
    assert alice["created_at"] == "2026-01-01T00:00:00Z"


async def test_export_omits_password_hashes_by_default(auth: Auth) -> None:
    accounts = await exported(auth)
    assert len(accounts) == len(ALL_ACCOUNTS)
    assert not any("password_hash" in account for account in accounts)


@pytest.mark.parametrize("page", [1, 2, 5, 6])
async def test_export_pages_contain_every_user(
    auth: Auth, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(user_export, "PAGE_SIZE", page)
    names = [account["username"] for account in await exported(auth)]
    assert names == [account.username for account in ALL_ACCOUNTS]


async def test_export_can_be_imported(auth: Auth) -> None:
    accounts = await exported(auth, with_password_hashes=True)
    report = await run(auth, *accounts)
    assert (report.counts, report.messages) == ((0, len(ALL_ACCOUNTS), 0), [])


async def test_export_is_recorded_before_first_page(auth: Auth) -> None:
    await anext(export_users(auth, OPERATOR, with_password_hashes=True))
    async with auth.db.read() as session:
        query = select(AuditEvent).where(AuditEvent.action == Action.USERS_EXPORTED)
        event = (await session.scalars(query)).one()
    assert event.details == {"password_hashes": "yes"}


async def test_export_requires_permissions(auth: Auth) -> None:
    class Reader:
        user_id = None
        session_id = None
        client = OPERATOR.client
        permissions = frozenset({"users:read"})

    with pytest.raises(Forbidden):
        await anext(export_users(auth, Reader(), with_password_hashes=False))
