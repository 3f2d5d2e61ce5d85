"""The throttle: failures delay further attempts. No account is locked permanently.

An attempt is written to the database before slow work starts, so concurrent attempts on several
machines are all counted. It then fails, succeeds, or is cancelled. During a delay the correct
password is rejected too (NIST SP 800-63B-4, section 3.2.2; ASVS 5.0, 6.3.1).
"""

import hmac
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, reduce
from hashlib import sha256
from importlib import import_module
from typing import Any

from sqlalchemy import Executable, bindparam, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from auth.clock import Clock
from auth.errors import AuthError, RateLimited
from auth.throttling.budgets import Budget, Limit, unknown_devices_limit
from auth.throttling.counters import ThrottleCounter
from auth.tokens.secret_keys import SecretKeys
from models.base import Base
from models.database import Database, DatabaseUnavailable
from models.throttle_row import ThrottleRow

_PURPOSE = "postern attempts"
# Attempts in flight end soon.
_RETRY_AFTER_IN_FLIGHT = timedelta(seconds=1)
_DELETE_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt in flight, and the budgets in which it is counted."""

    budgets: tuple[Budget, ...]
    started_at: datetime


class Throttle:
    """Counts attempts and failures in the database, for all processes together."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        secret_keys: SecretKeys,
        *,
        enabled: bool = True,
        failures_per_hour: int = 1_000,
    ) -> None:
        self._db = db
        self._clock = clock
        self._keys = secret_keys.derive(_PURPOSE)
        self._enabled = enabled
        # The budget of all unknown devices together.
        self.unknown_devices = Budget(unknown_devices_limit(failures_per_hour), "")

    async def start(self, *budgets: Budget) -> Attempt:
        """Starts an attempt: counts it as in flight in all budgets, or in none.

        Raises RateLimited with the longest delay, and DatabaseUnavailable.
        """
        now = self._clock.now()
        if not self._enabled:
            return Attempt((), now)
        await self._check_unlocked([b for b in budgets if not b.limit.counts_in_flight], now)
        counted = [budget for budget in budgets if budget.limit.counts_in_flight]
        async with self._db.begin() as tx:
            connection = await tx.connection()
            counters = await self._lock_counters(connection, counted, now)
            _check(counters, now)
            started = {budget: counter.started(now) for budget, counter in counters.items()}
            await self._write(connection, started)
        return Attempt(budgets, now)

    async def fail(self, tx: AsyncSession, attempt: Attempt) -> timedelta:
        """Turns an attempt into a failure. Returns the delay that follows."""
        if not attempt.budgets:
            return timedelta()
        now, connection = self._clock.now(), await tx.connection()
        counters = await self._lock_counters(connection, attempt.budgets, now)
        failed = {
            budget: _ended(budget, counter, attempt, now).failed(budget.limit, now)
            for budget, counter in counters.items()
        }
        await self._write(connection, failed)
        return max(counter.delay(budget.limit, now) for budget, counter in failed.items())

    async def succeed(self, tx: AsyncSession, attempt: Attempt) -> None:
        """Ends an attempt. Resets the failures of limits with `reset_by_success`.

        Call it at the end of a transaction, since other attempts wait for its locks.
        """
        await self._end(await tx.connection(), attempt, succeeded=True)

    async def cancel(self, attempt: Attempt) -> None:
        """Ends an attempt that was not checked because the server was busy. Resets no failures."""
        if _in_flight(attempt):
            async with self._db.begin() as tx:
                await self._end(await tx.connection(), attempt, succeeded=False)

    @asynccontextmanager
    async def count(self, *budgets: Budget) -> AsyncIterator[None]:
        """Counts the block as a failure even if it succeeds, but not if the server is too busy."""
        async with self._run_attempt(budgets, failure=Exception) as attempt:
            yield
        await self._fail(attempt)

    @asynccontextmanager
    async def count_failure(self, *budgets: Budget) -> AsyncIterator[None]:
        """Counts the block as a failure if it raises AuthError, unless the server is too busy."""
        async with self._run_attempt(budgets, failure=AuthError) as attempt:
            yield
        async with self._db.begin() as tx:
            await self.succeed(tx, attempt)

    @asynccontextmanager
    async def _run_attempt(
        self, budgets: Sequence[Budget], *, failure: type[Exception]
    ) -> AsyncIterator[Attempt]:
        """Ends the attempt if the block raises. Otherwise the caller ends it."""
        attempt = await self.start(*budgets)
        try:
            yield attempt
        except (RateLimited, DatabaseUnavailable):
            await self.cancel(attempt)
            raise
        except failure:
            await self._fail(attempt)
            raise

    async def consume(self, *budgets: Budget) -> None:
        """Counts one use in all budgets, or in none. Raises RateLimited."""
        async with self._db.begin() as tx:
            await self.consume_in(tx, *budgets)

    async def consume_in(self, tx: AsyncSession, *budgets: Budget) -> None:
        """Counts one use if the transaction is committed. Raises RateLimited."""
        await self._consume(tx, None, budgets)

    async def consume_unless_paused(self, pause: Budget, *budgets: Budget) -> bool:
        """Counts one use. Counts nothing and returns False during the delay of `pause`."""
        async with self._db.begin() as tx:
            return await self._consume(tx, pause, [pause, *budgets])

    async def reset(self, tx: AsyncSession, *budgets: Budget) -> None:
        """Deletes the failures in budgets."""
        keys = [key for budget in budgets for key in self._row_keys(budget)]
        selected = ThrottleRow.key.in_(keys)
        # Attempts lock rows in the order of keys. A DELETE alone would lock in any order and could
        # deadlock with them.
        await tx.execute(
            select(ThrottleRow.key).where(selected).order_by(ThrottleRow.key).with_for_update()
        )
        await tx.execute(delete(ThrottleRow).where(selected))

    async def delete_expired(self) -> None:
        """Deletes the rows that no longer change a decision, in short transactions."""
        while await self._delete_some() == _DELETE_BATCH:
            pass

    async def _delete_some(self) -> int:
        old = (
            select(ThrottleRow.key)
            .where(ThrottleRow.forgotten_at < self._clock.now())
            .limit(_DELETE_BATCH)
        )
        async with self._db.begin() as tx:
            # Locked rows are in use, and waiting for them could deadlock.
            keys = list(await tx.scalars(old.with_for_update(skip_locked=True)))
            await tx.execute(delete(ThrottleRow).where(ThrottleRow.key.in_(keys)))
        return len(keys)

    async def _end(self, connection: AsyncConnection, attempt: Attempt, *, succeeded: bool) -> None:
        now, ended = self._clock.now(), {}
        for budget, counter in (
            await self._lock_counters(connection, _in_flight(attempt), now)
        ).items():
            ended[budget] = counter.ended(attempt.started_at, now)
            if succeeded and budget.limit.reset_by_success:
                ended[budget] = ended[budget].without_failures()
        await self._write(connection, ended)

    async def _fail(self, attempt: Attempt) -> None:
        async with self._db.begin() as tx:
            await self.fail(tx, attempt)

    async def _consume(
        self, tx: AsyncSession, pause: Budget | None, budgets: Sequence[Budget]
    ) -> bool:
        if not self._enabled:
            return True
        now, connection = self._clock.now(), await tx.connection()
        counters = await self._lock_counters(connection, budgets, now)
        if pause and counters[pause].delay(pause.limit, now):
            return False
        _check(counters, now)
        failed = {b: counter.failed(b.limit, now) for b, counter in counters.items()}
        await self._write(connection, failed)
        return True

    async def _check_unlocked(self, budgets: Sequence[Budget], now: datetime) -> None:
        for budget in budgets:
            found = [
                _counter(row)
                for key in self._row_keys(budget)
                for row in await self._db.look_up(_BY_KEY, {"name": key})
            ]
            _check({budget: _sum(found, budget.limit)}, now)

    async def _lock_counters(
        self, connection: AsyncConnection, budgets: Sequence[Budget], now: datetime
    ) -> dict[Budget, ThrottleCounter]:
        if not budgets:
            return {}
        row_keys = {budget: self._row_keys(budget) for budget in budgets}
        # Sorted, so that two attempts cannot deadlock.
        keys = sorted(key for of_budget in row_keys.values() for key in of_budget)
        rows = await connection.execute(
            _lock_statement(self._db.dialect), [_values(k, ThrottleCounter(), now) for k in keys]
        )
        found = {row.key: _counter(row) for row in rows}
        return {
            budget: _sum([found[key] for key in of_budget], budget.limit)
            for budget, of_budget in row_keys.items()
        }

    async def _write(
        self, connection: AsyncConnection, counters: Mapping[Budget, ThrottleCounter]
    ) -> None:
        rows = []
        for budget, counter in counters.items():
            newest, *older = self._row_keys(budget)
            rows.append(_values(newest, counter, counter.negligible_at(budget.limit)))
            # The newest secret counts from now on.
            rows += [_values(key, ThrottleCounter(), counter.failed_at) for key in older]
        if rows:
            await connection.execute(_WRITE, [{**row, "name": row.pop("key")} for row in rows])

    def _row_keys(self, budget: Budget) -> list[str]:
        """Returns the keys of the row under each secret, newest first.

        They are HMACs, so a database dump reveals neither the names that were tried nor networks.
        """
        text = f"{budget.limit.name}\0{budget.key}".encode("utf-8", "surrogatepass")
        return [hmac.digest(key, text, sha256).hex() for key in self._keys]


def _check(counters: Mapping[Budget, ThrottleCounter], now: datetime) -> None:
    """Raises RateLimited with the longest delay."""
    delays = [counter.delay(budget.limit, now) for budget, counter in counters.items()]
    if any(counter.is_full(budget.limit, now) for budget, counter in counters.items()):
        delays.append(_RETRY_AFTER_IN_FLIGHT)
    longest = max(delays, default=timedelta())
    if longest:
        raise RateLimited(timedelta(seconds=math.ceil(longest.total_seconds())))


def _in_flight(attempt: Attempt) -> list[Budget]:
    return [budget for budget in attempt.budgets if budget.limit.counts_in_flight]


def _ended(
    budget: Budget, counter: ThrottleCounter, attempt: Attempt, now: datetime
) -> ThrottleCounter:
    return counter.ended(attempt.started_at, now) if budget.limit.counts_in_flight else counter


def _sum(counters: Sequence[ThrottleCounter], limit: Limit) -> ThrottleCounter:
    return reduce(lambda one, other: one.plus(other, limit), counters, ThrottleCounter())


def _counter(row: Any) -> ThrottleCounter:
    return ThrottleCounter(row.failures, row.failed_at, row.in_flight, row.started_at)


def _values(key: str, counter: ThrottleCounter, forgotten_at: datetime) -> dict[str, object]:
    return {
        "key": key,
        "failures": counter.failures,
        "failed_at": counter.failed_at,
        "in_flight": counter.in_flight,
        "started_at": counter.started_at,
        "forgotten_at": forgotten_at,
    }


@cache
def _lock_statement(dialect: str) -> Executable:
    # Imports only the dialect in use, since each takes megabytes.
    insert = import_module(f"sqlalchemy.dialects.{dialect}").insert(_ROWS)
    # The update changes nothing. It locks an existing row.
    locked: Executable = insert.on_conflict_do_update(
        index_elements=[_ROWS.c.key], set_={"key": insert.excluded.key}
    ).returning(*_ROWS.c)
    return locked


# Not through the ORM, which would take a third of the time of a sign-in without its hash.
_ROWS = Base.metadata.tables[ThrottleRow.__tablename__]
_BY_KEY = select(*_ROWS.c).where(_ROWS.c.key == bindparam("name"))
_WRITE = update(_ROWS).where(_ROWS.c.key == bindparam("name"))
