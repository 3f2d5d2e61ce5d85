"""Hashes of other systems are told from what is none, before anybody logs in by them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from passlib.context import CryptContext

from auth.passwords.foreign_hashes import is_foreign
from auth.passwords.hash_kinds import _KINDS, problem_of_hash
from auth.passwords.hashing import _BCRYPT, _IMPORTED
from tests.accounts import cheap_hash
from tests.auth.passwords.test_foreign_hashes import OF_OTHER_SYSTEMS, UNREADABLE

ARGON2_LENGTHS = 3


@pytest.mark.parametrize("system", OF_OTHER_SYSTEMS)
def test_every_hash_that_a_login_verifies_is_taken_over(system: str) -> None:
    assert problem_of_hash(OF_OTHER_SYSTEMS[system]) is None


def test_our_own_hashes_come_back() -> None:
    assert problem_of_hash(cheap_hash("a password")) is None


@pytest.mark.parametrize("stored", [stored for stored in UNREADABLE if stored != "!"])
def test_what_no_login_can_read_is_refused(stored: str) -> None:
    assert problem_of_hash(stored)


@pytest.mark.parametrize("system", OF_OTHER_SYSTEMS)
def test_a_hash_that_was_cut_off_is_refused(system: str) -> None:
    stored = OF_OTHER_SYSTEMS[system]
    accepted = [end for end in range(len(stored)) if problem_of_hash(stored[:end]) is None]
    # Of argon2 any length may be meant; only the usual ones are taken.
    assert len(accepted) <= (ARGON2_LENGTHS if "argon2" in system else 0)


@pytest.mark.parametrize(
    "stored",
    [
        "$2b$03$" + "a" * 53,
        "$2b$17$" + "a" * 53,
        "$argon2id$v=19$m=4194304,t=1,p=1$c2FsdHNhbHQ$" + "a" * 43,
        "$argon2id$v=19$m=8,t=1,p=2$c2FsdHNhbHQ$" + "a" * 43,
        "pbkdf2_sha256$10000001$salt$" + "a" * 43 + "=",
        "pbkdf2:sha256:0$salt$" + "0" * 64,
        "scrypt:1048576:8:1$salt$" + "0" * 128,
        "scrypt:1000:8:1$salt$" + "0" * 128,
        "$scrypt$ln=31,r=8,p=1$c2FsdA$" + "a" * 43,
        "$scrypt$ln=9999999999,r=8,p=1$c2FsdA$" + "a" * 43,
        "$6$rounds=999999999$salt$" + "a" * 86,
    ],
)
def test_a_hash_that_would_keep_a_login_busy_is_refused(stored: str) -> None:
    assert problem_of_hash(stored) == "has a cost that is out of bounds"


def test_a_hash_that_does_not_fit_is_refused() -> None:
    assert problem_of_hash("scrypt:1024:8:1$" + "s" * 500 + "$" + "0" * 128)


@given(st.sampled_from(_KINDS).flatmap(lambda kind: st.from_regex(kind.pattern, fullmatch=True)))
def test_whatever_is_taken_over_is_of_a_kind_that_a_login_knows(stored: str) -> None:
    if problem_of_hash(stored) is None:
        assert is_foreign(stored) or CryptContext(schemes=[*_BCRYPT, *_IMPORTED]).identify(stored)


@given(st.text())
def test_any_text_gets_an_answer(text: str) -> None:
    assert problem_of_hash(text) is None or problem_of_hash(text)
