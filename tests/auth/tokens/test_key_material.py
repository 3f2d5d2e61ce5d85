"""Signing keys: generation and JWKs."""

from datetime import UTC, datetime

import pytest

from auth.tokens.key_material import Algorithm, Key, key_from_jwk, new_private_jwk

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "k"}


def new_key(algorithm: Algorithm) -> Key:
    return key_from_jwk(new_private_jwk(algorithm), kid="k", algorithm=algorithm, active_from=NOW)


@pytest.mark.parametrize("algorithm", [Algorithm.ES256, Algorithm.EDDSA, Algorithm.RS256])
def test_public_jwk_has_no_private_members(algorithm: Algorithm) -> None:
    jwk = new_key(algorithm).public_jwk
    assert jwk is not None
    assert not PRIVATE_MEMBERS & jwk.keys()
    assert (jwk["kid"], jwk["alg"], jwk["use"]) == ("k", algorithm.value, "sig")


def test_symmetric_key_has_no_public_jwk() -> None:
    assert new_key(Algorithm.HS256).public_jwk is None


def test_symmetric_key_has_256_bits() -> None:
    assert len(new_key(Algorithm.HS256).signer) == 32


def test_repr_of_key_contains_no_private_key() -> None:
    key = new_key(Algorithm.HS256)
    assert repr(key.signer) not in repr(key)


def test_unknown_algorithm_is_rejected() -> None:
    with pytest.raises(ValueError, match="none"):
        key_from_jwk({}, kid="k", algorithm="none", active_from=NOW)
