"""Secrets of the server: encryption, decryption and key derivation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth.tokens.secret_keys import SecretKeys, WrongSecretKey

SECRET = "a secret of the tests, long enough for anybody"
OLDER = "the secret of before, which was long as well"
# Encrypted by an earlier version, under SECRET.
CIPHERTEXT = bytes.fromhex("0100beeec54fb190875942a0432f274ad85959b317c2b449e4668e047806d1e724cb")


def encrypt(*secrets: str, plaintext: bytes = b"plain") -> bytes:
    return SecretKeys(secrets).encrypt(plaintext, purpose="one", bound_to="a")


def decrypt(cipher: bytes, *secrets: str) -> bytes:
    return SecretKeys(secrets).decrypt(cipher, purpose="one", bound_to="a")


def test_empty_list_of_secrets_is_rejected() -> None:
    with pytest.raises(ValueError, match="at least one"):
        SecretKeys([])


@pytest.mark.parametrize("show", [repr, str, "{}".format, "{!r:>99}".format])
def test_secrets_are_not_in_repr(show: object) -> None:
    assert callable(show)
    assert show(SecretKeys([SECRET, OLDER])).strip() == "<2 secrets>"


@given(st.binary())
def test_decrypt_returns_plaintext(plaintext: bytes) -> None:
    assert decrypt(encrypt(SECRET, plaintext=plaintext), SECRET) == plaintext


def test_ciphertext_of_first_version_decrypts() -> None:
    assert decrypt(CIPHERTEXT, SECRET) == b"plain"


@pytest.mark.parametrize(("purpose", "owner"), [("two", "a"), ("one", "b"), ("", ""), ("onea", "")])
def test_decrypt_requires_same_purpose_and_binding(purpose: str, owner: str) -> None:
    with pytest.raises(WrongSecretKey):
        SecretKeys([SECRET]).decrypt(encrypt(SECRET), purpose=purpose, bound_to=owner)


def test_decrypt_with_other_secret_raises() -> None:
    with pytest.raises(WrongSecretKey):
        decrypt(encrypt(SECRET), OLDER)


def test_error_does_not_contain_secret() -> None:
    with pytest.raises(WrongSecretKey) as raised:
        decrypt(encrypt(SECRET), OLDER)
    assert OLDER not in repr(raised.value)


def test_any_listed_secret_decrypts() -> None:
    assert decrypt(encrypt(OLDER), SECRET, OLDER) == b"plain"
    assert decrypt(encrypt(SECRET), SECRET, OLDER) == b"plain"


def test_first_secret_encrypts() -> None:
    cipher = encrypt(SECRET, OLDER)
    assert decrypt(cipher, SECRET) == b"plain"
    with pytest.raises(WrongSecretKey):
        decrypt(cipher, OLDER)


def test_ciphertexts_of_same_text_differ() -> None:
    assert len({encrypt(SECRET) for _ in range(50)}) == 50


@pytest.mark.parametrize("place", [1, 5, 12, 13, 17, 18, -16, -1])
def test_decrypt_rejects_changed_bit(place: int) -> None:
    cipher = bytearray(encrypt(SECRET))
    cipher[place] ^= 1
    with pytest.raises(WrongSecretKey):
        decrypt(bytes(cipher), SECRET)


def test_derived_keys_differ_and_have_256_bits() -> None:
    secrets = SecretKeys([SECRET, OLDER])
    keys = {*secrets.derive("one"), *secrets.derive("two")}
    assert [len(key) for key in keys] == [32] * 4


def test_key_derivation_follows_rfc_5869() -> None:
    # HKDF with SHA-256 and no salt, for the secret above; computed by hand with HMAC.
    assert SecretKeys([SECRET]).derive("one") == [
        bytes.fromhex("3616a698c0c40bae016879a0c9113301db66cf78217fe1380742967cf8417dfe")
    ]
