"""Slowing guesses down: who fails often waits, longer each time; nobody is locked out for good.

An attempt is counted before anything slow is done for it, in the database, so that a thousand at
once on several machines count as a thousand. Success gives the attempt back. While somebody waits,
the right answer waits as well (NIST SP 800-63B-4, 3.2.2; ASVS 5.0, 6.3.1).
"""

import hmac
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, lru_cache
from hashlib import sha256
from importlib import import_module
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from operator import itemgetter
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Executable, bindparam, case, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from auth.clock import Clock
from auth.errors import RateLimited
from auth.secret_keys import SecretKeys
from models.base import Base
from models.database import Database
from models.throttle import Throttle as Row

_PURPOSE = "postern throttling"


@dataclass(frozen=True, slots=True)
class Limit:
    """How many failures are free, and how long the waits become.

    Each failure past the free ones doubles the wait, from `shortest` up to `longest`. After
    `forgotten_after` without a failure all is forgotten.
    """

    name: str
    free: int
    longest: timedelta
    forgotten_after: timedelta
    shortest: timedelta = timedelta(seconds=1)
    # Whether success forgives every failure before it; a shared network has other people's too.
    forgiven_by_success: bool = False

    def wait_after(self, failures: int) -> timedelta:
        """How long the next attempt has to wait."""
        past = failures - self.free
        if past < 0:
            return timedelta()
        # Two to the power of many is no number of seconds.
        wait: timedelta = self.shortest * 2 ** min(past, 30)
        return min(wait, self.longest)


# Guesses of one account's password. Well below NIST's hundred failures in a day.
ACCOUNT = Limit(
    "account",
    free=10,
    longest=timedelta(hours=1),
    forgotten_after=timedelta(days=1),
    forgiven_by_success=True,
)
# Guesses from one network, of whomever's: many people may share it.
NETWORK = Limit(
    "network", free=100, longest=timedelta(minutes=15), forgotten_after=timedelta(hours=1)
)
# New accounts from one network; each costs a hash and a row.
REGISTRATION = Limit(
    "registration", free=100, longest=timedelta(minutes=15), forgotten_after=timedelta(hours=6)
)

# Mails that anybody may have sent to one address: its owner gets few, however many ask.
MAIL = Limit(
    "mail",
    free=3,
    shortest=timedelta(minutes=1),
    longest=timedelta(hours=1),
    forgotten_after=timedelta(hours=6),
)
# Mails that are sent for one network, to whomever.
MAIL_NETWORK = Limit(
    "mail network", free=30, longest=timedelta(minutes=15), forgotten_after=timedelta(hours=1)
)
# Exports of one's own data: each reads much.
EXPORT = Limit("export", free=5, longest=timedelta(hours=1), forgotten_after=timedelta(hours=6))


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit, and whose failures are counted against it."""

    limit: Limit
    whose: str


class Throttle:
    """The failures of everybody, as all processes share them."""

    def __init__(
        self, db: Database, clock: Clock, secret_keys: SecretKeys, *, enabled: bool = True
    ) -> None:
        self._db = db
        self._clock = clock
        self._key = secret_keys.derive(_PURPOSE)[0]
        self._enabled = enabled

    async def attempt(self, *budgets: Budget) -> timedelta:
        """Counts an attempt as a failure until it is forgiven; returns the wait if it stays one.

        Raises RateLimited with the longest wait, and then counts nothing; DatabaseUnavailable,
        since nobody can tell then who has failed before.
        """
        if not self._enabled:
            return timedelta()
        now = self._clock.now()
        async with self._db.begin() as tx:
            connection = await tx.connection()
            counted = await self._lock(connection, budgets, now)
            waits = [failures.wait(budget.limit, now) for budget, failures in counted]
            if any(waits):
                raise RateLimited(timedelta(seconds=math.ceil(max(waits).total_seconds())))
            # The failures are one more now.
            waits = [budget.limit.wait_after(failures.number + 1) for budget, failures in counted]
            await connection.execute(
                _COUNT,
                [
                    {
                        "row": failures.key,
                        "failures": failures.number + 1,
                        "blocked_until": now + wait if wait else None,
                        "forgotten_at": now + budget.limit.forgotten_after,
                    }
                    for (budget, failures), wait in zip(counted, waits, strict=True)
                ],
            )
            return max(waits)

    async def forgive(self, *budgets: Budget) -> None:
        """Takes the attempt back, since it went well, and with it what success forgives."""
        async with self._db.begin() as tx:
            await self.forgive_within(await tx.connection(), *budgets)

    async def forgive_within(self, connection: AsyncConnection, *budgets: Budget) -> None:
        """The same in a transaction that goes on; best at its end, since others wait for it."""
        if not self._enabled:
            return
        now = self._clock.now()
        await connection.execute(
            _FORGIVE,
            [
                {"row": key, "now": now, "kept": 0 if budget.limit.forgiven_by_success else 1}
                for key, budget in self._in_order(budgets)
            ],
        )

    async def forget(self, *budgets: Budget) -> None:
        """Forgives every failure."""
        names = [self._name(budget) for budget in budgets]
        async with self._db.begin() as tx:
            await tx.execute(delete(Row).where(Row.key.in_(names)))

    async def forget_the_old(self) -> None:
        """Deletes what is forgotten, but for what somebody counts at this moment."""
        old = select(Row.key).where(Row.forgotten_at < self._clock.now())
        # Rows that are waited for one after the other could wait for those who wait for us.
        idle = old.with_for_update(skip_locked=True)
        async with self._db.begin() as tx:
            await tx.execute(delete(Row).where(Row.key.in_(idle)))

    def _in_order(self, budgets: Sequence[Budget]) -> list[tuple[str, Budget]]:
        """With the keys of their rows: in one order, or two attempts could wait for one another."""
        return sorted(((self._name(budget), budget) for budget in budgets), key=itemgetter(0))

    def _name(self, budget: Budget) -> str:
        # A dump tells neither who was guessed at nor from where.
        text = f"{budget.limit.name}\0{budget.whose}".encode()
        return hmac.digest(self._key, text, sha256).hex()

    async def _lock(
        self, connection: AsyncConnection, budgets: Sequence[Budget], now: datetime
    ) -> list[tuple[Budget, "_Failures"]]:
        in_order = self._in_order(budgets)
        rows = await connection.execute(
            _lock(self._db.dialect),
            [
                {"key": key, "failures": 0, "forgotten_at": now + budget.limit.forgotten_after}
                for key, budget in in_order
            ],
        )
        found = {row.key: _Failures(*row) for row in rows}
        return [(budget, found[key].as_of(now)) for key, budget in in_order]


class _Failures(NamedTuple):
    """A row, as it is when it is locked."""

    key: str
    number: int
    blocked_until: datetime | None
    forgotten_at: datetime

    def as_of(self, now: datetime) -> "_Failures":
        """The same, or none if they are forgotten by now."""
        if self.forgotten_at < now:
            return self._replace(number=0, blocked_until=None)
        return self

    def wait(self, limit: Limit, now: datetime) -> timedelta:
        """How long the next attempt has to wait."""
        wait = (self.blocked_until or now) - now
        # Longer than any wait: the clock was set back.
        return timedelta() if wait > limit.longest else max(wait, timedelta())


def budget_of_account(user_id: UUID, *, at: str | None = None) -> Budget:
    """Guesses at an account, from one network that its owner uses or from all others."""
    return Budget(ACCOUNT, f"user {user_id} at {at}" if at else f"user {user_id}")


@lru_cache(maxsize=1024)
def network_of(address: str | None) -> str:
    """Whom an address stands for: IPv4 itself, of IPv6 the /64 that one customer gets."""
    try:
        parsed: IPv4Address | IPv6Address = ip_address(address or "")
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(IPv6Network((parsed, 64), strict=False))
    return str(parsed)


@cache
def _lock(dialect: str) -> Executable:
    # The other dialect is left alone: it takes megabytes.
    insert = import_module(f"sqlalchemy.dialects.{dialect}").insert(_ROWS)
    # A row that is there is locked by being written, whatever somebody else does to it.
    locked: Executable = insert.on_conflict_do_update(
        index_elements=[_ROWS.c.key], set_={"key": insert.excluded.key}
    ).returning(_ROWS.c.key, _ROWS.c.failures, _ROWS.c.blocked_until, _ROWS.c.forgotten_at)
    return locked


# Not through the ORM, which would take a third of what a login costs beside its hash.
_ROWS = Base.metadata.tables[Row.__tablename__]
_THIS = _ROWS.c.key == bindparam("row")
_COUNT = update(_ROWS).where(_THIS)
_NONE_LEFT = (_ROWS.c.forgotten_at < bindparam("now")) | (_ROWS.c.failures < 1)
_FORGIVE = (
    update(_ROWS)
    .where(_THIS)
    .values(
        failures=case((_NONE_LEFT, 0), else_=(_ROWS.c.failures - 1) * bindparam("kept")),
        blocked_until=None,
    )
)
