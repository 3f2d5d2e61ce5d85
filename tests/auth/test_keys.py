"""Keys: published before they sign, verifying after they have, opened by the server's secret."""

import asyncio
from typing import Any

import jwt
import pytest
from jwt.algorithms import ECAlgorithm
from jwt.utils import base64url_decode
from sqlalchemy import text

from auth.keys import Algorithm, KeyRing, KeyState
from auth.secret_keys import SecretKeys, WrongSecretKey
from auth.wiring import Auth
from models.database import Database
from tests.api import Api, denials
from tests.clock import ManualClock
from tests.people import ALICE

SECRET = "a secret of the tests, long enough for anybody"
OLDER = "the secret of before, which was long as well"


@pytest.fixture
async def db(database_url: str) -> Any:
    database = Database.connect(database_url)
    yield database
    await database.close()


def ring(
    db: Database, clock: ManualClock, *secrets: str, algorithm: Algorithm = Algorithm.ES256
) -> KeyRing:
    return KeyRing(db, SecretKeys(secrets or [SECRET]), clock, algorithm)


async def test_the_first_start_makes_a_key_that_signs_at_once(
    db: Database, clock: ManualClock
) -> None:
    keys = ring(db, clock)
    await keys.start()
    assert [state for _, state in await keys.states()] == [KeyState.CURRENT]


async def test_two_processes_that_start_together_make_one_key(
    db: Database, clock: ManualClock
) -> None:
    one, other = ring(db, clock), ring(db, clock)
    await asyncio.gather(one.start(), other.start())
    assert (await one.signing_key()).kid == (await other.signing_key()).kid


async def test_a_new_key_is_published_ten_minutes_before_it_signs(
    db: Database, clock: ManualClock
) -> None:
    keys = ring(db, clock)
    await keys.start()
    old = await keys.signing_key()
    new = await keys.rotate()
    assert new.kid in {jwk["kid"] for jwk in (await keys.jwks())["keys"]}
    assert (await keys.signing_key()).kid == old.kid
    clock.tick(minutes=10)
    assert (await keys.signing_key()).kid == new.kid


async def test_a_retired_key_verifies_until_its_last_token_has_expired(
    db: Database, clock: ManualClock
) -> None:
    keys = ring(db, clock)
    await keys.start()
    old = await keys.signing_key()
    await keys.rotate()
    clock.tick(minutes=70)
    assert await keys.find(old.kid) is old
    clock.tick(seconds=5)
    assert await keys.find(old.kid) is None
    assert old.kid not in {jwk["kid"] for jwk in (await keys.jwks())["keys"]}


async def test_another_process_knows_a_new_key_before_it_is_used(
    db: Database, clock: ManualClock
) -> None:
    here, there = ring(db, clock), ring(db, clock)
    await here.start()
    await there.start()
    new = await here.rotate()
    there._loaded_at -= 5
    assert await there.find(new.kid) is not None


async def test_strangers_cannot_make_a_process_reload_its_keys(
    db: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = ring(db, clock)
    await keys.start()
    loads = 0
    load = keys._load

    async def count() -> None:
        nonlocal loads
        loads += 1
        await load()

    monkeypatch.setattr(keys, "_load", count)
    for number in range(20):
        assert await keys.find(f"unknown {number}") is None
    assert loads == 0


@pytest.mark.parametrize("kid", [None, 7, True, ["x"], {"x": 1}, "\ud800", ""])
async def test_a_kid_of_any_shape_is_just_unknown(
    db: Database, clock: ManualClock, kid: object
) -> None:
    keys = ring(db, clock)
    await keys.start()
    assert await keys.find(kid) is None


async def test_another_secret_opens_no_key_and_makes_none(db: Database, clock: ManualClock) -> None:
    await ring(db, clock, OLDER).start()
    with pytest.raises(WrongSecretKey):
        await ring(db, clock, SECRET).start()
    async with db.read() as session:
        assert await session.scalar(text("SELECT count(*) FROM signing_keys")) == 1


async def test_an_older_secret_in_the_list_still_opens_the_keys(
    db: Database, clock: ManualClock
) -> None:
    before = ring(db, clock, OLDER)
    await before.start()
    after = ring(db, clock, SECRET, OLDER)
    await after.start()
    assert (await after.signing_key()).kid == (await before.signing_key()).kid


async def test_the_database_holds_no_private_key_in_plain(db: Database, clock: ManualClock) -> None:
    keys = ring(db, clock)
    await keys.start()
    signer = (await keys.signing_key()).signer
    private = ECAlgorithm.to_jwk(signer, as_dict=True)["d"]
    async with db.read() as session:
        rows = (await session.execute(text("SELECT * FROM signing_keys"))).all()
    assert private not in repr(rows)
    assert base64url_decode(private) not in bytes(rows[0].encrypted_private_key)


@pytest.mark.parametrize("algorithm", Algorithm)
async def test_each_algorithm_signs_and_verifies(
    sqlite_api: Api, clock: ManualClock, algorithm: Algorithm
) -> None:
    keys = sqlite_api.auth.keys
    keys._algorithm = algorithm
    await keys.start()
    clock.tick(minutes=10)
    token = await sqlite_api.log_in(ALICE)
    assert jwt.get_unverified_header(token)["alg"] == algorithm
    assert await sqlite_api.data("{ me { id } }", token=token)


async def test_changing_the_algorithm_leaves_older_tokens_good(
    sqlite_api: Api, clock: ManualClock
) -> None:
    token = await sqlite_api.log_in(ALICE)
    keys = sqlite_api.auth.keys
    keys._algorithm = Algorithm.EDDSA
    await keys.start()
    clock.tick(minutes=10)
    assert (await keys.signing_key()).algorithm is Algorithm.EDDSA
    assert await sqlite_api.data("{ me { id } }", token=token)


async def test_the_jwks_shows_public_members_only(auth: Auth) -> None:
    (jwk,) = (await auth.keys.jwks())["keys"]
    assert set(jwk) == {"kty", "crv", "x", "y", "kid", "alg", "use"}


async def test_a_symmetric_key_is_never_published(db: Database, clock: ManualClock) -> None:
    keys = ring(db, clock, algorithm=Algorithm.HS256)
    await keys.start()
    assert await keys.jwks() == {"keys": []}


async def test_compromised_keys_stop_working_at_once(sqlite_api: Api) -> None:
    token = await sqlite_api.log_in(ALICE)
    await sqlite_api.auth.keys.replace_compromised()
    result = await sqlite_api.ask("{ me { id } }", token=token)
    assert denials(result) == [{"code": "UNAUTHENTICATED", "reason": "TOKEN_INVALID"}]
    assert await sqlite_api.data("{ me { id } }", token=await sqlite_api.log_in(ALICE))


async def test_with_a_clock_that_was_set_back_the_oldest_key_signs(
    db: Database, clock: ManualClock
) -> None:
    keys = ring(db, clock)
    await keys.start()
    clock.tick(hours=-1)
    assert await keys.signing_key()


def test_secrets_do_not_print() -> None:
    assert SECRET not in repr(SecretKeys([SECRET]))


def test_a_cipher_opens_only_for_its_purpose_and_its_owner() -> None:
    keys = SecretKeys([SECRET])
    cipher = keys.encrypt(b"plain", purpose="one", bound_to="a")
    assert keys.decrypt(cipher, purpose="one", bound_to="a") == b"plain"
    for purpose, owner in [("two", "a"), ("one", "b")]:
        with pytest.raises(WrongSecretKey):
            keys.decrypt(cipher, purpose=purpose, bound_to=owner)


def test_no_secret_is_not_a_secret() -> None:
    with pytest.raises(ValueError, match="at least one"):
        SecretKeys([])
