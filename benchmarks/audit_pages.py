"""Times of pages of `auditEvents` over many events, compared with the first page.

python -m benchmarks.audit_pages [events]
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy import insert, select, text

from benchmarks.both_databases import on_both_databases
from benchmarks.measure import Work, medians, print_table
from graph.connections import encode_cursor
from models.audit_event import AuditEvent
from models.base import uuid7
from models.database import Database
from server.settings import Environment, Settings
from tests.accounts import ADMIN, CREATED_AT
from tests.api import Api, serving
from tests.clock import ManualClock

FEW = 1_000
MANY = 1_000_000
BATCH = 5_000
ROUNDS = 41
USERS = 10_000

QUERY = """
query Page($first: Int, $after: String, $last: Int, $before: String, $actorId: ID,
           $action: String) {
  auditEvents(first: $first, after: $after, last: $last, before: $before, actorId: $actorId,
              action: $action) {
    nodes { id at action succeeded address }
    pageInfo { startCursor endCursor hasNextPage }
  }
}
"""
OWN = "{ me { auditEvents(first: 50) { nodes { id action } } } }"


async def fill(db: Database, count: int, user_ids: list[UUID]) -> None:
    """Inserts events; one in a thousand is a replay, the rest are sign-ins."""
    for start in range(0, count, BATCH):
        numbers = range(start, min(start + BATCH, count))
        rows = [_event(number, user_ids[number % len(user_ids)]) for number in numbers]
        async with db.begin() as tx:
            await tx.execute(insert(AuditEvent), rows)
    async with db.begin() as tx:
        await tx.execute(text("ANALYZE"))


def _event(number: int, user_id: UUID) -> dict[str, Any]:
    return {
        "id": uuid7(),
        "at": CREATED_AT + timedelta(seconds=number),
        "action": "session.started" if number % 1000 else "session.replayed",
        "succeeded": True,
        "actor_id": user_id,
        "subject_id": user_id,
        "client_address": "192.0.2.7",
        "details": {},
    }


async def pages(api: Api, count: int, user_id: UUID) -> dict[str, Work]:
    """Returns the pages to compare, each with fifty events."""
    token = await api.log_in(ADMIN)
    middle = await _cursor_at(api.auth.db, count // 2)
    near_the_end = await _cursor_at(api.auth.db, 60)

    def page(**arguments: Any) -> Work:
        async def work() -> object:
            data = await api.data(QUERY, arguments, token=token)
            assert data["auditEvents"]["nodes"]
            return data

        return work

    async def own() -> object:
        return await api.data(OWN, token=token)

    return {
        "first page": page(first=50),
        "middle page": page(first=50, after=middle),
        "last page, from the front": page(first=50, after=near_the_end),
        "last page, from the back": page(last=50),
        "one actor": page(first=50, actorId=str(user_id)),
        "a rare action (0.1 %)": page(first=50, action="session.replayed"),
        "a common action, middle": page(first=50, action="session.started", after=middle),
        "actor and action": page(first=50, actorId=str(user_id), action="session.started"),
        "the user's own": own,
    }


async def _cursor_at(db: Database, position: int) -> str:
    async with db.read() as session:
        query = select(AuditEvent.id).order_by(AuditEvent.id).offset(position).limit(1)
        return encode_cursor((await session.scalars(query)).one())


@asynccontextmanager
async def filled(url: str, folder: Path, count: int, user_ids: list[UUID]) -> AsyncIterator[Api]:
    """Starts a server on a database with this number of events."""
    settings = Settings(
        environment=Environment.DEVELOPMENT,
        database_url=SecretStr(url),
        data_dir=folder,
        bcrypt_cost=4,
    )
    async with serving(settings, ManualClock()) as api:
        await fill(api.auth.db, count, user_ids)
        yield api


async def compare(kind: str, few: str, many: str, folder: Path, count: int) -> None:
    user_ids = [uuid7() for _ in range(USERS)]
    async with (
        filled(few, folder, FEW, user_ids) as small,
        filled(many, folder, count, user_ids) as large,
    ):
        # The first user has rare events only.
        user_id = user_ids[1]
        found = await medians(await pages(large, count, user_id), rounds=ROUNDS)
        print_table(f"{kind}, {count} events: pages of 50", found, base="first page")
        growth = {
            f"first page of {FEW}": (await pages(small, FEW, user_id))["first page"],
            f"first page of {count}": (await pages(large, count, user_id))["first page"],
        }
        found = await medians(growth, rounds=ROUNDS)
        print_table(f"{kind}: growth", found, base=f"first page of {FEW}")


if __name__ == "__main__":
    on_both_databases(compare, MANY)
