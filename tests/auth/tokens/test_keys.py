"""The key ring: states, rotation, reloads, and keys that cannot be decrypted."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt import get_algorithm_by_name
from jwt.utils import base64url_decode
from sqlalchemy import event, text
from structlog.testing import capture_logs

from auth.clients import Client
from auth.login import log_in
from auth.refresh import refresh
from auth.tokens import access_tokens as tokens
from auth.tokens.access_tokens import Grant
from auth.tokens.key_material import Algorithm, Key
from auth.tokens.key_set import LEEWAY, KeyState, SigningKeysUnavailable
from auth.tokens.keys import PUBLISHED_BEFORE_USE, RELOAD_AFTER_SECONDS, KeyRing
from auth.tokens.secret_keys import SecretKeys, WrongSecretKey
from models.base import uuid7
from models.database import Database, DatabaseUnavailable
from server.settings import Settings
from tests.accounts import ALICE, OPERATOR
from tests.api import LOGIN, Api, denials, serving
from tests.auth.forging import POLICY, issue
from tests.clock import ManualClock
from tests.conftest import make_settings

SECRET = "the newest secret, which is long enough"
OLDER = "the older secret, which is long enough"
CLIENT = Client("192.0.2.7", "test")
UNREACHABLE_DATABASE = "postgresql://postgres@127.0.0.1:1/none"
# The private members of JWKs (RFC 7518, section 6).
PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "k"}


def make_unreachable(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes reads of a database fail as if it could not be reached."""
    monkeypatch.setattr(db, "read", Database.connect(UNREACHABLE_DATABASE).read)


class Monotonic:
    """A monotonic clock that tests move."""

    def __init__(self) -> None:
        self._seconds = 1000.0

    def __call__(self) -> float:
        return self._seconds

    def tick(self, seconds: float) -> None:
        """Moves the clock."""
        self._seconds += seconds


@pytest.fixture
def monotonic() -> Monotonic:
    return Monotonic()


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    database = Database.connect(database_url)
    yield database
    await database.close()


def ring(
    db: Database,
    clock: ManualClock,
    *secrets: str,
    algorithm: Algorithm = Algorithm.ES256,
    monotonic: Callable[[], float] = time.monotonic,
) -> KeyRing:
    keys = SecretKeys(secrets or [SECRET])
    return KeyRing(db, keys, clock, algorithm, monotonic=monotonic)


async def count_keys(db: Database) -> int:
    async with db.read() as session:
        return len((await session.execute(text("SELECT kid FROM signing_keys"))).all())


async def states(keys: KeyRing) -> list[tuple[str, str]]:
    return [(key.kid, state.value) for key, state in await keys.states()]


def grant(clock: ManualClock) -> Grant:
    return Grant(uuid7(), uuid7(), [], [], clock.now() + timedelta(days=1))


async def test_first_start_creates_key_that_signs_immediately(
    db: Database, clock: ManualClock
) -> None:
    keys = ring(db, clock)
    await keys.start()
    assert [state for _, state in await keys.states()] == [KeyState.CURRENT]


async def test_concurrent_first_starts_create_one_key(db: Database, clock: ManualClock) -> None:
    one, other = ring(db, clock), ring(db, clock)
    await asyncio.gather(one.start(), other.start())
    assert (await one.signing_key()).kid == (await other.signing_key()).kid
    assert await count_keys(db) == 1


async def test_other_process_verifies_token(db: Database, clock: ManualClock) -> None:
    here, there = ring(db, clock), ring(db, clock)
    await asyncio.gather(here.start(), there.start())
    token = await issue(here, grant(clock), clock)
    assert await tokens.verify(there, POLICY, token.text, clock.now())


async def test_second_start_creates_no_key(db: Database, clock: ManualClock) -> None:
    for _ in range(3):
        await ring(db, clock).start()
    assert await count_keys(db) == 1


async def test_new_key_is_published_ten_minutes_before_use(
    db: Database, clock: ManualClock
) -> None:
    keys = ring(db, clock)
    await keys.start()
    old = await keys.signing_key()
    new = await keys.rotate(OPERATOR)
    assert new.kid in {jwk["kid"] for jwk in (await keys.jwks())["keys"]}
    assert (await keys.signing_key()).kid == old.kid
    clock.tick(minutes=10)
    assert (await keys.signing_key()).kid == new.kid


async def test_key_states_follow_clock(db: Database, clock: ManualClock) -> None:
    keys = ring(db, clock)
    await keys.start()
    old = await keys.signing_key()
    new = await keys.rotate(OPERATOR)
    assert await states(keys) == [(new.kid, "next"), (old.kid, "current")]
    clock.tick(minutes=10)
    assert await states(keys) == [(new.kid, "current"), (old.kid, "retired")]
    clock.tick(hours=1, seconds=5)
    assert await states(keys) == [(new.kid, "current")]


async def test_rotation_invalidates_no_token(sqlite_api: Api, clock: ManualClock) -> None:
    issued: list[str] = []
    for minutes in range(0, 120, 5):
        if minutes in {10, 15, 60}:
            await sqlite_api.auth.keys.rotate(OPERATOR)
        issued.append(await sqlite_api.log_in(ALICE))
        for token in issued[-6:]:
            assert await sqlite_api.data("{ me { id } }", token=token)
        clock.tick(minutes=5)
    assert len({jwt.get_unverified_header(token)["kid"] for token in issued}) == 4


async def test_retired_key_verifies_until_last_token_expires(
    db: Database, clock: ManualClock
) -> None:
    keys = ring(db, clock)
    await keys.start()
    old = await keys.signing_key()
    await keys.rotate(OPERATOR)
    clock.tick(minutes=70)
    assert await keys.find(old.kid) is old
    clock.tick(seconds=5)
    assert await keys.find(old.kid) is None
    assert old.kid not in {jwk["kid"] for jwk in (await keys.jwks())["keys"]}


async def test_other_process_loads_new_key_before_use(
    db: Database, clock: ManualClock, monotonic: Monotonic
) -> None:
    here, there = ring(db, clock, monotonic=monotonic), ring(db, clock, monotonic=monotonic)
    await here.start()
    await there.start()
    new = await here.rotate(OPERATOR)
    monotonic.tick(5)
    assert await there.find(new.kid) is not None


@contextmanager
def recorded_loads(db: Database) -> Iterator[list[str]]:
    """Records the statements that read the table of keys."""
    statements: list[str] = []

    def record(_connection: Any, _cursor: Any, statement: str, *_: object) -> None:
        if "FROM signing_keys" in statement:
            statements.append(statement)

    event.listen(db.engine.sync_engine, "before_cursor_execute", record)
    yield statements
    event.remove(db.engine.sync_engine, "before_cursor_execute", record)


@dataclass
class SlowReads:
    """Reads that wait until the test lets them continue."""

    have_read: asyncio.Event = field(default_factory=asyncio.Event)
    may_return: asyncio.Event = field(default_factory=asyncio.Event)


async def test_unknown_kids_cause_one_reload_in_five_seconds(
    db: Database, clock: ManualClock, monotonic: Monotonic
) -> None:
    keys = ring(db, clock, monotonic=monotonic)
    await keys.start()
    with recorded_loads(db) as loads:
        await asyncio.gather(*[keys.find(f"unknown {number}") for number in range(20)])
        assert len(loads) == 0
        monotonic.tick(5)
        await asyncio.gather(*[keys.find(f"unknown {number}") for number in range(20)])
        assert len(loads) == 1


async def test_known_kid_causes_no_query_for_a_minute(
    db: Database, clock: ManualClock, monotonic: Monotonic
) -> None:
    keys = ring(db, clock, monotonic=monotonic)
    await keys.start()
    kid = (await keys.signing_key()).kid
    with recorded_loads(db) as loads:
        monotonic.tick(55)
        assert await keys.find(kid)
        assert len(loads) == 0
        monotonic.tick(5)
        assert await keys.find(kid)
        assert len(loads) == 1


async def test_loaded_keys_are_used_during_outage(
    db: Database, clock: ManualClock, monotonic: Monotonic, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = ring(db, clock, monotonic=monotonic)
    await keys.start()
    kid = (await keys.signing_key()).kid
    make_unreachable(db, monkeypatch)
    monotonic.tick(60)
    assert await keys.find(kid)
    assert len((await keys.jwks())["keys"]) == 1


async def test_outage_without_loaded_keys_raises(clock: ManualClock) -> None:
    keys = ring(Database.connect(UNREACHABLE_DATABASE), clock)
    with pytest.raises(DatabaseUnavailable):
        await keys.signing_key()


@pytest.mark.parametrize("kid", [None, 7, True, ["x"], {"x": 1}, "\ud800", ""])
async def test_unusual_kid_is_unknown(db: Database, clock: ManualClock, kid: object) -> None:
    keys = ring(db, clock)
    await keys.start()
    assert await keys.find(kid) is None


async def test_start_with_wrong_secret_raises_and_creates_no_key(
    db: Database, clock: ManualClock
) -> None:
    await ring(db, clock, OLDER).start()
    with pytest.raises(WrongSecretKey):
        await ring(db, clock, SECRET).start()
    assert await count_keys(db) == 1


async def test_check_secret_creates_no_key(db: Database, clock: ManualClock) -> None:
    await ring(db, clock).check_secret()
    assert await count_keys(db) == 0


async def test_check_secret_raises_for_wrong_secret(db: Database, clock: ManualClock) -> None:
    await ring(db, clock, OLDER).start()
    with pytest.raises(WrongSecretKey):
        await ring(db, clock, SECRET).check_secret()


async def test_older_secret_in_list_decrypts_keys(db: Database, clock: ManualClock) -> None:
    before = ring(db, clock, OLDER)
    await before.start()
    after = ring(db, clock, SECRET, OLDER)
    await after.start()
    assert (await after.signing_key()).kid == (await before.signing_key()).kid


@pytest.mark.parametrize("algorithm", Algorithm)
async def test_database_contains_no_unencrypted_private_key(
    db: Database, clock: ManualClock, algorithm: Algorithm
) -> None:
    keys = ring(db, clock, algorithm=algorithm)
    await keys.start()
    jwk = private_jwk(await keys.signing_key())
    async with db.read() as session:
        (row,) = (await session.execute(text("SELECT * FROM signing_keys"))).all()
    for member in PRIVATE & jwk.keys():
        assert jwk[member] not in repr(row)
        assert jwk[member].encode() not in row.encrypted_private_key
        assert base64url_decode(jwk[member]) not in row.encrypted_private_key


def private_jwk(key: Key) -> dict[str, str]:
    jwk: dict[str, str] = get_algorithm_by_name(key.algorithm).to_jwk(key.signer, as_dict=True)
    assert PRIVATE & jwk.keys()
    return jwk


async def test_private_key_is_bound_to_its_kid(db: Database, clock: ManualClock) -> None:
    await ring(db, clock).start()
    async with db.begin() as tx:
        await tx.execute(text("UPDATE signing_keys SET kid = 'of-another'"))
    with pytest.raises(WrongSecretKey):
        await ring(db, clock).start()


@pytest.mark.parametrize("algorithm", Algorithm)
async def test_each_algorithm_issues_and_verifies(
    sqlite_url: str, tmp_path: Path, clock: ManualClock, algorithm: Algorithm
) -> None:
    async with serving(settings_with(algorithm, sqlite_url, tmp_path), clock) as api:
        token = await api.log_in(ALICE)
        assert jwt.get_unverified_header(token)["alg"] == algorithm
        assert await api.data("{ me { id } }", token=token)


def settings_with(algorithm: Algorithm, url: str, folder: Path) -> Settings:
    return make_settings(url, folder).model_copy(update={"jwt_algorithm": algorithm})


async def test_changed_algorithm_keeps_old_tokens_valid(
    sqlite_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    async with serving(settings_with(Algorithm.ES256, sqlite_url, tmp_path), clock) as before:
        token = await before.log_in(ALICE)
    async with serving(settings_with(Algorithm.EDDSA, sqlite_url, tmp_path), clock) as after:
        assert [jwk["alg"] for jwk in await published(after)] == ["EdDSA", "ES256"]
        assert jwt.get_unverified_header(await after.log_in(ALICE))["alg"] == "ES256"
        clock.tick(minutes=10)
        assert jwt.get_unverified_header(await after.log_in(ALICE))["alg"] == "EdDSA"
        assert await after.data("{ me { id } }", token=token)


async def test_concurrent_starts_with_changed_algorithm_create_one_key(
    db: Database, clock: ManualClock
) -> None:
    await ring(db, clock).start()
    others = [ring(db, clock, algorithm=Algorithm.EDDSA) for _ in range(2)]
    await asyncio.gather(*[other.start() for other in others])
    assert await count_keys(db) == 2


async def published(api: Api) -> list[dict[str, str]]:
    jwks: list[dict[str, str]] = (await api.http.get("/.well-known/jwks.json")).json()["keys"]
    return jwks


@pytest.mark.parametrize(
    ("algorithm", "members"),
    [
        (Algorithm.ES256, {"kty", "crv", "x", "y"}),
        (Algorithm.EDDSA, {"kty", "crv", "x"}),
        (Algorithm.RS256, {"kty", "n", "e"}),
    ],
)
async def test_jwks_contains_public_members_only(
    db: Database, clock: ManualClock, algorithm: Algorithm, members: set[str]
) -> None:
    keys = ring(db, clock, algorithm=algorithm)
    await keys.start()
    (jwk,) = (await keys.jwks())["keys"]
    assert set(jwk) == {*members, "kid", "alg", "use"}
    assert (jwk["kid"], jwk["alg"], jwk["use"]) == (
        (await keys.signing_key()).kid,
        algorithm,
        "sig",
    )


async def test_token_verifies_with_jwks(sqlite_api: Api) -> None:
    token = await sqlite_api.log_in(ALICE)
    (jwk,) = await published(sqlite_api)
    claims = jwt.decode(
        token, jwt.PyJWK(jwk), algorithms=["ES256"], audience=sqlite_api.auth.token_policy.audience
    )
    assert claims["iss"] == sqlite_api.auth.token_policy.issuer


async def test_jwks_max_age_is_shorter_than_publication_before_use(
    sqlite_api: Api,
) -> None:
    reply = await sqlite_api.http.get("/.well-known/jwks.json")
    assert reply.headers["Cache-Control"] == "public, max-age=300"
    kept = timedelta(seconds=300 + RELOAD_AFTER_SECONDS) + LEEWAY
    assert kept < PUBLISHED_BEFORE_USE


async def test_symmetric_key_is_not_in_jwks(db: Database, clock: ManualClock) -> None:
    keys = ring(db, clock, algorithm=Algorithm.HS256)
    await keys.start()
    assert await keys.jwks() == {"keys": []}


async def test_replaced_keys_invalidate_tokens_immediately(sqlite_api: Api) -> None:
    token = await sqlite_api.log_in(ALICE)
    await sqlite_api.auth.keys.replace_compromised(OPERATOR)
    result = await sqlite_api.ask("{ me { id } }", token=token)
    assert denials(result) == [{"code": "UNAUTHENTICATED", "reason": "TOKEN_INVALID"}]
    assert await sqlite_api.data("{ me { id } }", token=await sqlite_api.log_in(ALICE))


async def test_other_process_drops_replaced_key_within_a_minute(
    db: Database, clock: ManualClock, monotonic: Monotonic
) -> None:
    here, there = ring(db, clock, monotonic=monotonic), ring(db, clock, monotonic=monotonic)
    await asyncio.gather(here.start(), there.start())
    old = [await here.signing_key(), await here.rotate(OPERATOR)]
    new = await here.replace_compromised(OPERATOR)
    monotonic.tick(60)
    assert [await there.find(key.kid) for key in old] == [None, None]
    assert (await there.signing_key()).kid == new.kid
    assert [jwk["kid"] for jwk in (await there.jwks())["keys"]] == [new.kid]


async def test_change_feed_drops_replaced_key_immediately(
    sqlite_url: str, clock: ManualClock
) -> None:
    one_db, other_db = Database.connect(sqlite_url), Database.connect(sqlite_url)
    try:
        await other_db.change_feed.start()
        here, there = ring(one_db, clock), ring(other_db, clock)
        await here.start()
        await there.start()
        old, new = await there.signing_key(), await here.replace_compromised(OPERATOR)
        assert (await there.signing_key()).kid == new.kid
        assert await there.find(old.kid) is None
    finally:
        await one_db.close()
        await other_db.close()


async def test_replaced_key_stays_revoked_after_restart(db: Database, clock: ManualClock) -> None:
    keys = ring(db, clock)
    await keys.start()
    old = await keys.signing_key()
    await keys.replace_compromised(OPERATOR)
    restarted = ring(db, clock)
    await restarted.start()
    assert await restarted.find(old.kid) is None


async def test_oldest_key_signs_if_clock_was_set_back(db: Database, clock: ManualClock) -> None:
    keys = ring(db, clock)
    await keys.start()
    clock.tick(hours=-1)
    assert await keys.signing_key()


async def test_replaced_key_is_dropped_if_new_key_cannot_be_decrypted(
    db: Database, clock: ManualClock, monotonic: Monotonic
) -> None:
    behind = ring(db, clock, OLDER, monotonic=monotonic)
    await behind.start()
    old = await behind.signing_key()
    ahead = ring(db, clock, SECRET, OLDER, monotonic=monotonic)
    await ahead.start()
    await ahead.replace_compromised(OPERATOR)
    monotonic.tick(60)
    assert await behind.find(old.kid) is None


# Secrets that do not decrypt every key


async def test_key_under_other_secret_is_unavailable(
    db: Database, clock: ManualClock, monotonic: Monotonic
) -> None:
    behind, ahead = (
        ring(db, clock, OLDER, monotonic=monotonic),
        ring(db, clock, SECRET, OLDER, monotonic=monotonic),
    )
    await behind.start()
    await ahead.start()
    new = await ahead.replace_compromised(OPERATOR)
    monotonic.tick(60)
    for _ in range(2):
        with pytest.raises(SigningKeysUnavailable):
            await behind.find(new.kid)
        with pytest.raises(SigningKeysUnavailable):
            await behind.signing_key()
        with pytest.raises(SigningKeysUnavailable):
            await behind.jwks()
        assert not await behind.can_decrypt_all()
        assert await behind.find("an unknown kid") is None


async def test_process_with_older_secret_signs_until_next_key(
    db: Database, clock: ManualClock, monotonic: Monotonic
) -> None:
    behind, ahead = (
        ring(db, clock, OLDER, monotonic=monotonic),
        ring(db, clock, SECRET, OLDER, monotonic=monotonic),
    )
    await behind.start()
    await ahead.start()
    await ahead.rotate(OPERATOR)
    monotonic.tick(60)
    clock.tick(minutes=9)
    token = await issue(behind, grant(clock), clock)
    assert await tokens.verify(ahead, POLICY, token.text, clock.now())
    clock.tick(minutes=1)
    with pytest.raises(SigningKeysUnavailable):
        await issue(behind, grant(clock), clock)


async def test_locked_expired_key_does_not_prevent_start(db: Database, clock: ManualClock) -> None:
    await ring(db, clock, OLDER).start()
    await ring(db, clock, SECRET, OLDER).rotate(OPERATOR)
    clock.tick(minutes=71)
    keys = ring(db, clock, SECRET)
    await keys.start()
    await keys.renew_encryption()
    assert await keys.can_decrypt_all()
    assert len((await keys.jwks())["keys"]) == 1


async def test_keys_can_be_replaced_under_new_secret(db: Database, clock: ManualClock) -> None:
    await ring(db, clock, OLDER).start()
    new = await ring(db, clock, SECRET).replace_compromised(OPERATOR)
    restarted = ring(db, clock, SECRET)
    await restarted.start()
    assert (await restarted.signing_key()).kid == new.kid


async def test_session_is_not_started_or_refreshed_without_signing_key(
    database_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    """Otherwise a session would be committed that has no tokens."""
    settings = make_settings(database_url, tmp_path)
    async with serving(settings, clock) as api:
        signed_in = await log_in(api.auth, CLIENT, username="alice", password=ALICE.password)
        ahead = KeyRing(api.auth.db, SecretKeys([SECRET]), clock, Algorithm.ES256)
        await ahead.replace_compromised(OPERATOR)
        before = await list_sessions(api.auth.db)
        with pytest.raises(SigningKeysUnavailable):
            await log_in(api.auth, CLIENT, username="alice", password=ALICE.password)
        with pytest.raises(SigningKeysUnavailable):
            await refresh(api.auth, CLIENT, signed_in.refresh_token.text)
        assert await list_sessions(api.auth.db) == before
        variables = {"input": {"username": "alice", "password": ALICE.password}}
        reply = await api.post(LOGIN, variables)
        assert reply.status_code == 503
        assert "signing key" in reply.json()["errors"][0]["message"]


async def list_sessions(db: Database) -> list[tuple[Any, ...]]:
    async with db.read() as session:
        return [
            tuple(r) for r in await session.execute(text("SELECT id, generation FROM sessions"))
        ]


# Concurrent changes


async def test_concurrent_replacements_succeed(db: Database, clock: ManualClock) -> None:
    await ring(db, clock).start()
    rings = [ring(db, clock) for _ in range(8)]
    new = await asyncio.gather(*(keys.replace_compromised(OPERATOR) for keys in rings))
    assert len({key.kid for key in new}) == 8
    # Only the last key is left.
    restarted = ring(db, clock)
    await restarted.start()
    ((kid, state),) = await states(restarted)
    assert (kid in {key.kid for key in new}, state) == (True, "current")


async def test_concurrent_rotation_and_replacement_succeed(
    db: Database, clock: ManualClock
) -> None:
    one, other = ring(db, clock), ring(db, clock)
    await one.start()
    rotated, replaced = await asyncio.gather(
        one.rotate(OPERATOR), other.replace_compromised(OPERATOR)
    )
    assert rotated.kid != replaced.kid


async def test_rsa_key_is_generated_in_thread_outside_of_transaction(
    db: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate, started, written = rsa.generate_private_key, Event(), Event()
    waited: list[bool] = []

    def wait_for_another_writer(public_exponent: int, key_size: int) -> rsa.RSAPrivateKey:
        started.set()
        waited.append(written.wait(timeout=5))
        return generate(public_exponent, key_size)

    monkeypatch.setattr(rsa, "generate_private_key", wait_for_another_writer)
    keys = ring(db, clock, algorithm=Algorithm.RS256)
    starting = asyncio.create_task(keys.start())
    assert await asyncio.to_thread(started.wait, 10)
    async with db.begin() as tx:
        await tx.execute(text("UPDATE users SET version = version"))
    written.set()
    await starting
    assert (await keys.signing_key()).algorithm == "RS256"
    assert waited == [True]


# Loads that overlap with a revocation


@contextmanager
def slow_reads(db: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowReads]:
    """Makes reads that start in the block wait after they have their rows."""
    slow, read = SlowReads(), db.read

    @asynccontextmanager
    async def read_slowly() -> AsyncIterator[Any]:
        async with read() as session:
            yield session
        slow.have_read.set()
        await slow.may_return.wait()

    with monkeypatch.context() as patched:
        patched.setattr(db, "read", read_slowly)
        yield slow


async def test_load_started_before_revocation_does_not_restore_key(
    db: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = ring(db, clock)
    await keys.start()
    old = await keys.signing_key()
    with slow_reads(db, monkeypatch) as slow:
        loading = asyncio.create_task(keys.check_secret())
        await slow.have_read.wait()
    new = await keys.replace_compromised(OPERATOR)
    slow.may_return.set()
    await loading
    assert await keys.find(old.kid) is None
    assert (await keys.signing_key()).kid == new.kid
    assert [jwk["kid"] for jwk in (await keys.jwks())["keys"]] == [new.kid]


async def test_load_is_repeated_if_key_was_revoked_during_it(
    db: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, other = ring(db, clock), ring(db, clock)
    await keys.start()
    old = await keys.signing_key()
    with slow_reads(db, monkeypatch) as slow:
        loading = asyncio.create_task(keys.check_secret())
        await slow.have_read.wait()
    new = await other.replace_compromised(OPERATOR)
    keys.everything_changed()
    slow.may_return.set()
    await loading
    assert await keys.find(old.kid) is None
    assert (await keys.signing_key()).kid == new.kid


async def test_known_keys_are_not_used_if_reload_after_change_fails(
    db: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = ring(db, clock)
    await keys.start()
    kid = (await keys.signing_key()).kid
    keys.everything_changed()
    make_unreachable(db, monkeypatch)
    for _ in range(2):
        with pytest.raises(DatabaseUnavailable):
            await keys.find(kid)
        with pytest.raises(DatabaseUnavailable):
            await keys.signing_key()
    # The JWKS is still served from the known keys.
    assert len((await keys.jwks())["keys"]) == 1


async def test_failed_load_is_logged_with_cause(
    db: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = ring(db, clock)
    await keys.start()
    keys.everything_changed()
    make_unreachable(db, monkeypatch)
    with capture_logs() as logs:
        for _ in range(2):
            with pytest.raises(DatabaseUnavailable, match=r"^ConnectionRefusedError$"):
                await keys.signing_key()
    assert [(entry["event"], entry["cause"]) for entry in logs] == [
        ("keys.reload_failed", "ConnectionRefusedError")
    ]


async def test_unknown_kid_during_outage_is_unavailable(
    db: Database, clock: ManualClock, monotonic: Monotonic, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = ring(db, clock, monotonic=monotonic)
    await keys.start()
    make_unreachable(db, monkeypatch)
    monotonic.tick(5)
    with pytest.raises(DatabaseUnavailable):
        await keys.find("created by another process")


async def test_process_with_older_secret_signs_during_rotation(
    db: Database, clock: ManualClock, monotonic: Monotonic
) -> None:
    behind = ring(db, clock, OLDER, monotonic=monotonic)
    await behind.start()
    ahead = ring(db, clock, SECRET, OLDER, monotonic=monotonic)
    await ahead.start()
    await ahead.rotate(OPERATOR)
    monotonic.tick(60)
    assert await behind.signing_key()
