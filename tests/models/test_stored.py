"""Columns without type conversion."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import select

from models.database import Database
from models.role import Role, RolePermission
from models.stored import as_stored, joined, read_instant, read_uuid
from models.user import User
from tests.accounts import CREATED_AT


async def test_stored_values_are_converted_on_demand(database_url: str) -> None:
    db = Database.connect(database_url)
    async with db.read() as session:
        user = (await session.scalars(select(User).where(User.username == "alice"))).one()
        query = select(as_stored(User.id), as_stored(User.created_at)).where(User.id == user.id)
        row = (await session.execute(query)).one()
    await db.close()
    assert (read_uuid(row.id), read_instant(row.created_at)) == (user.id, CREATED_AT)


async def test_joined_texts_are_separated_by_commas(database_url: str) -> None:
    db = Database.connect(database_url)
    async with db.read() as session:
        query = select(joined(RolePermission.permission)).join(Role).where(Role.name == "support")
        text = (await session.scalars(query)).one()
        listed = select(RolePermission.permission).join(Role).where(Role.name == "support")
        permissions = set(await session.scalars(listed))
    await db.close()
    assert set(text.split(",")) == permissions


@pytest.mark.parametrize("stored", ["0190a8ff4444744488880123456789ab", UUID(int=1)])
def test_read_uuid_accepts_text_and_uuids(stored: object) -> None:
    assert isinstance(read_uuid(stored), UUID)


def test_read_instant_accepts_text_in_utc_and_datetimes() -> None:
    expected = datetime(2026, 1, 1, tzinfo=UTC)
    assert read_instant("2026-01-01 00:00:00.000000") == expected
    assert read_instant(expected) == expected
