"""States of signing keys, by the clock."""

from datetime import UTC, datetime, timedelta

import pytest

from auth.tokens.key_material import Algorithm, Key
from auth.tokens.key_set import (
    LEEWAY,
    MAX_ACCESS_TOKEN_LIFETIME,
    KeySet,
    KeyState,
    SigningKeysUnavailable,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def key(kid: str, active_from: datetime) -> Key:
    return Key(kid, Algorithm.ES256, active_from, signer=None, verifier=None, public_jwk=None)


def keys(**starts: datetime) -> KeySet:
    return KeySet({kid: key(kid, start) for kid, start in starts.items()})


def test_newest_started_key_signs() -> None:
    assert keys(old=NOW - DAY, current=NOW, following=NOW + DAY).signing_key(NOW).kid == "current"


def test_oldest_key_signs_if_none_has_started() -> None:
    assert keys(first=NOW + DAY, second=NOW + 2 * DAY).signing_key(NOW).kid == "first"


def test_empty_set_has_no_signing_key() -> None:
    with pytest.raises(SigningKeysUnavailable):
        KeySet().signing_key(NOW)


def test_locked_key_is_not_replaced_by_an_older_one() -> None:
    known = keys(old=NOW - DAY)
    with pytest.raises(SigningKeysUnavailable):
        KeySet(known.keys, {"current": NOW}).signing_key(NOW)


def test_states_are_listed_newest_first() -> None:
    start = NOW - timedelta(minutes=1)
    states = keys(old=NOW - DAY, current=start, following=NOW + DAY).states(NOW)
    assert [(key.kid, state) for key, state in states] == [
        ("following", KeyState.NEXT),
        ("current", KeyState.CURRENT),
        ("old", KeyState.RETIRED),
    ]


def test_retired_key_verifies_until_its_last_token_expires() -> None:
    known = keys(old=NOW - DAY, current=NOW)
    end = NOW + MAX_ACCESS_TOKEN_LIFETIME + LEEWAY
    assert known.end_of(known.keys["old"]) == end
    assert known.verifies(known.keys["old"], end - timedelta(seconds=1))
    assert not known.verifies(known.keys["old"], end)


def test_locked_key_matters_until_its_last_token_expires() -> None:
    known = KeySet(keys(current=NOW).keys, {"old": NOW - DAY})
    assert known.has_locked(NOW)
    assert not known.has_locked(NOW + DAY)


def test_newest_key_is_the_one_with_the_latest_start() -> None:
    newest = keys(current=NOW, following=NOW + DAY).newest()
    assert newest
    assert newest.kid == "following"
    assert KeySet().newest() is None
