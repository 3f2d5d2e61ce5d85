"""Validation of imported password hashes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from passlib.context import CryptContext

from auth.passwords.foreign_hashes import is_foreign
from auth.passwords.hashing import BCRYPT_SCHEMES, IMPORTED_SCHEMES
from auth.passwords.importable_hashes import HASH_FORMATS, find_hash_problem
from tests.accounts import cheap_hash
from tests.auth.passwords.test_foreign_hashes import MALFORMED, OF_OTHER_SYSTEMS

ARGON2_LENGTHS = 3


@pytest.mark.parametrize("system", OF_OTHER_SYSTEMS)
def test_supported_hash_can_be_imported(system: str) -> None:
    assert find_hash_problem(OF_OTHER_SYSTEMS[system]) is None


def test_hash_of_postern_can_be_imported() -> None:
    assert find_hash_problem(cheap_hash("a password")) is None


@pytest.mark.parametrize("stored", [stored for stored in MALFORMED if stored != "!"])
def test_malformed_hash_cannot_be_imported(stored: str) -> None:
    assert find_hash_problem(stored)


@pytest.mark.parametrize("system", OF_OTHER_SYSTEMS)
def test_truncated_hash_cannot_be_imported(system: str) -> None:
    stored = OF_OTHER_SYSTEMS[system]
    accepted = [end for end in range(len(stored)) if find_hash_problem(stored[:end]) is None]
    # Argon2 allows any length. Only the usual ones are accepted.
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
def test_expensive_hash_cannot_be_imported(stored: str) -> None:
    assert find_hash_problem(stored) == "has a cost that is not supported"


def test_hash_longer_than_column_cannot_be_imported() -> None:
    assert find_hash_problem("scrypt:1024:8:1$" + "s" * 500 + "$" + "0" * 128)


@given(
    st.sampled_from(HASH_FORMATS).flatmap(
        lambda known: st.from_regex(known.pattern, fullmatch=True)
    )
)
def test_importable_hash_is_supported_at_sign_in(stored: str) -> None:
    if find_hash_problem(stored) is None:
        assert is_foreign(stored) or CryptContext(
            schemes=[*BCRYPT_SCHEMES, *IMPORTED_SCHEMES]
        ).identify(stored)


@given(st.text())
def test_find_hash_problem_never_raises(text: str) -> None:
    assert find_hash_problem(text) is None or find_hash_problem(text)
