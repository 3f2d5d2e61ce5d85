"""Migrations: they make what the models say, once, whoever runs them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text

from models.database import Database
from models.migrate import SchemaState, drift, schema_state, upgrade


@pytest.fixture(params=["sqlite", "postgresql"])
async def empty(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'empty.db'}"
    else:
        url = await request.getfixturevalue("postgresql_templates").empty()
    db = Database.connect(url)
    yield db
    await db.close()


async def test_the_tables_are_as_the_models_say(empty: Database) -> None:
    await upgrade(empty)
    assert await empty.run(drift) == []


async def test_migrating_twice_is_harmless(empty: Database) -> None:
    assert await schema_state(empty) is SchemaState.BEHIND
    await upgrade(empty)
    await upgrade(empty)
    assert await schema_state(empty) is SchemaState.CURRENT


async def test_two_that_migrate_at_once_take_turns(empty: Database) -> None:
    await asyncio.gather(upgrade(empty), upgrade(empty))
    assert await schema_state(empty) is SchemaState.CURRENT


async def test_a_newer_schema_is_told_from_an_older_one(empty: Database) -> None:
    await upgrade(empty)
    async with empty.begin() as tx:
        await tx.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert await schema_state(empty) is SchemaState.AHEAD
