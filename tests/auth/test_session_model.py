"""Random sequences of session operations give the results of a simple model."""

import asyncio
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import update

from models.user import User
from tests.accounts import ALICE, OPERATOR, cheap_hash
from tests.api import Api, codes, serving
from tests.clock import ManualClock
from tests.conftest import make_settings
from tests.databases import PostgresqlTemplates, SqliteTemplates
from tests.sessions import Device

GRACE = timedelta(seconds=60)
IDLE = timedelta(days=30)
KEYS = ["first-key-of-the-model", "second-key-of-the-model"]
# `make soak` runs it longer: POSTERN_ names would be taken for settings.
EXAMPLES = int(os.environ.get("SESSION_MODEL_EXAMPLES", "8"))


class SessionModel(RuleBasedStateMachine):
    """One session of alice. The model is `ended`, `used_at`, `key` and the list of tokens.

    `key` is the idempotency key of the last refresh.
    """

    url: ClassVar[str]
    folder: ClassVar[Path]

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = ManualClock()
        self.server = serving(make_settings(self.url, self.folder), self.clock)
        self.api: Api = self.run(self.server.__aenter__())

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        self.run(self.set_alice(disabled_at=None, password_hash=cheap_hash(ALICE.password)))
        self.run(self.server.__aexit__(None, None, None))
        self.loop.close()

    async def set_alice(self, **values: object) -> None:
        async with self.api.auth.db.begin() as tx:
            await tx.execute(update(User).where(User.username == "alice").values(**values))

    @initialize()
    def log_in(self) -> None:
        self.account = ALICE
        self.device: Device = self.run(Device(self.api).log_in())
        self.ended = False
        self.disabled = False
        self.used_at = self.clock.now()
        self.key: str | None = None

    def has_ended(self) -> bool:
        return self.ended or self.clock.now() >= self.used_at + IDLE

    def is_refused(self) -> bool:
        return self.disabled or self.has_ended()

    @rule()
    def refresh(self) -> None:
        refused = codes(self.run(self.device.try_refresh("prt_nothing")))
        assert refused == ["INVALID_REFRESH_TOKEN"]
        if self.is_refused():
            payload = self.run(self.device.try_refresh(self.device.refresh_token))
            assert payload["tokens"] is None
            return
        self.run(self.device.refresh())
        self.used_at, self.key = self.clock.now(), None

    @rule(key=st.sampled_from(KEYS), tries=st.integers(1, 3), outage=st.integers(0, 86400))
    def refresh_through_an_outage(self, key: str, tries: int, outage: int) -> None:
        """Responses are lost, and the client repeats the refresh until one arrives."""
        spent, started_at = self.device.refresh_token, self.clock.now()
        was_refused = self.is_refused()
        for _ in range(tries):
            payload = self.run(self.device.try_refresh(spent, key=key))
            self.clock.tick(seconds=outage)
        if was_refused:
            assert payload["tokens"] is None
            return
        self.device.used_tokens.append(spent)
        self.device.keep(payload["tokens"])
        self.used_at, self.key = started_at, key

    @precondition(lambda self: bool(self.device.used_tokens))
    @rule(age=st.integers(1, 3), key=st.sampled_from([None, *KEYS]))
    def use_an_older_token(self, age: int, key: str | None) -> None:
        token = self.device.used_tokens[-min(age, len(self.device.used_tokens))]
        is_previous = token == self.device.used_tokens[-1]
        in_grace = self.clock.now() - self.used_at <= GRACE
        repeated = is_previous and (in_grace or (key is not None and key == self.key))
        payload = self.run(self.device.try_refresh(token, key=key))
        if repeated and not self.is_refused():
            assert payload["tokens"]["refreshToken"] == self.device.refresh_token
            return
        assert payload["tokens"] is None
        # A replay ends the session even if the user is disabled.
        self.ended = self.ended or not repeated

    @rule(seconds=st.sampled_from([1, 30, 60, 61, 3600, 86400, 29 * 86400]))
    def wait(self, seconds: int) -> None:
        self.clock.tick(seconds=seconds)

    @rule()
    def rotate_the_keys(self) -> None:
        self.run(self.api.auth.keys.rotate(OPERATOR))

    @rule(disabled=st.booleans())
    def disable_or_enable(self, disabled: bool) -> None:
        self.run(self.set_alice(disabled_at=self.clock.now() if disabled else None))
        self.disabled = disabled

    @precondition(lambda self: not self.disabled)
    @rule(here=st.booleans())
    def change_the_password(self, here: bool) -> None:
        where = self.device if here else self.run(Device(self.api).log_in(self.account))
        if self.run(where.is_signed_in()):
            old, new = self.account.password, self.account.password + "."
            self.account = replace(self.account, password=new)
            self.run(where.change_password(old, new))
            self.ended = self.ended or not here

    @rule()
    def log_out(self) -> None:
        query = "mutation { logout { endedSessions } }"
        result = self.run(self.api.ask(query, token=self.device.access_token))
        if result["data"]["logout"] is not None:
            self.ended = True

    @invariant()
    def access_token_of_an_ended_session_is_refused(self) -> None:
        if self.is_refused():
            assert not self.run(self.device.is_signed_in())


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_random_session_operations_match_the_model(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if kind == "sqlite":
        templates: SqliteTemplates = request.getfixturevalue("sqlite_templates")
        url = templates.new(tmp_path)
    else:
        postgresql: PostgresqlTemplates = request.getfixturevalue("postgresql_templates")
        url = postgresql.new()
    SessionModel.url, SessionModel.folder = url, tmp_path
    run_state_machine_as_test(
        SessionModel,
        settings=settings(max_examples=EXAMPLES, stateful_step_count=20, deadline=None),
    )
