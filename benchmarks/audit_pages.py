"""Pages of `auditEvents` over many events: any page costs what the first costs.

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
PEOPLE = 10_000

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


async def fill(db: Database, count: int, people: list[UUID]) -> None:
    """Adds events; one in a thousand is a replay, the rest are sign-ins."""
    for start in range(0, count, BATCH):
        numbers = range(start, min(start + BATCH, count))
        rows = [_event(number, people[number % len(people)]) for number in numbers]
        async with db.begin() as tx:
            await tx.execute(insert(AuditEvent), rows)
    async with db.begin() as tx:
        await tx.execute(text("ANALYZE"))


def _event(number: int, person: UUID) -> dict[str, Any]:
    return {
        "id": uuid7(),
        "at": CREATED_AT + timedelta(seconds=number),
        "action": "session.started" if number % 1000 else "session.replayed",
        "succeeded": True,
        "actor_id": person,
        "subject_id": person,
        "client_address": "192.0.2.7",
        "details": {},
    }


async def pages(api: Api, count: int, person: UUID) -> dict[str, Work]:
    """The pages to compare, each of fifty events."""
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
        "one actor": page(first=50, actorId=str(person)),
        "a rare action (0.1 %)": page(first=50, action="session.replayed"),
        "a common action, middle": page(first=50, action="session.started", after=middle),
        "actor and action": page(first=50, actorId=str(person), action="session.started"),
        "one's own": own,
    }


async def _cursor_at(db: Database, position: int) -> str:
    async with db.read() as session:
        query = select(AuditEvent.id).order_by(AuditEvent.id).offset(position).limit(1)
        return encode_cursor((await session.scalars(query)).one())


@asynccontextmanager
async def filled(url: str, folder: Path, count: int, people: list[UUID]) -> AsyncIterator[Api]:
    """A server on a database with so many events."""
    settings = Settings(
        environment=Environment.DEVELOPMENT,
        database_url=SecretStr(url),
        data_dir=folder,
        bcrypt_cost=4,
    )
    async with serving(settings, ManualClock()) as api:
        await fill(api.auth.db, count, people)
        yield api


async def compare(kind: str, few: str, many: str, folder: Path, count: int) -> None:
    people = [uuid7() for _ in range(PEOPLE)]
    async with (
        filled(few, folder, FEW, people) as small,
        filled(many, folder, count, people) as large,
    ):
        # The first one has rare events only.
        person = people[1]
        found = await medians(await pages(large, count, person), rounds=ROUNDS)
        print_table(f"{kind}, {count} events: pages of 50", found, base="first page")
        growth = {
            f"first page of {FEW}": (await pages(small, FEW, person))["first page"],
            f"first page of {count}": (await pages(large, count, person))["first page"],
        }
        found = await medians(growth, rounds=ROUNDS)
        print_table(f"{kind}: growth", found, base=f"first page of {FEW}")


if __name__ == "__main__":
    on_both_databases(compare, MANY)
