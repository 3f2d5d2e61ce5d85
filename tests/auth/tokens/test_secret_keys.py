"""The server's secret: what is encrypted under it opens under it, and under nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth.tokens.secret_keys import SecretKeys, WrongSecretKey

SECRET = "a secret of the tests, long enough for anybody"
OLDER = "the secret of before, which was long as well"
# Made once: what is in people's databases must open after every upgrade.
KEPT = bytes.fromhex("0100beeec54fb190875942a0432f274ad85959b317c2b449e4668e047806d1e724cb")


def encrypt(*secrets: str, plaintext: bytes = b"plain") -> bytes:
    return SecretKeys(secrets).encrypt(plaintext, purpose="one", bound_to="a")


def decrypt(cipher: bytes, *secrets: str) -> bytes:
    return SecretKeys(secrets).decrypt(cipher, purpose="one", bound_to="a")


def test_no_secret_is_not_a_secret() -> None:
    with pytest.raises(ValueError, match="at least one"):
        SecretKeys([])


@pytest.mark.parametrize("show", [repr, str, "{}".format, "{!r:>99}".format])
def test_secrets_do_not_print(show: object) -> None:
    assert callable(show)
    assert show(SecretKeys([SECRET, OLDER])).strip() == "<2 secrets>"


@given(st.binary())
def test_what_was_encrypted_opens_again(plaintext: bytes) -> None:
    assert decrypt(encrypt(SECRET, plaintext=plaintext), SECRET) == plaintext


def test_what_was_encrypted_years_ago_still_opens() -> None:
    assert decrypt(KEPT, SECRET) == b"plain"


@pytest.mark.parametrize(("purpose", "owner"), [("two", "a"), ("one", "b"), ("", ""), ("onea", "")])
def test_a_cipher_opens_only_for_its_purpose_and_its_owner(purpose: str, owner: str) -> None:
    with pytest.raises(WrongSecretKey):
        SecretKeys([SECRET]).decrypt(encrypt(SECRET), purpose=purpose, bound_to=owner)


def test_another_secret_does_not_open() -> None:
    with pytest.raises(WrongSecretKey):
        decrypt(encrypt(SECRET), OLDER)


def test_the_error_does_not_name_the_secret() -> None:
    with pytest.raises(WrongSecretKey) as raised:
        decrypt(encrypt(SECRET), OLDER)
    assert OLDER not in repr(raised.value)


def test_a_list_of_secrets_opens_what_any_of_them_encrypted() -> None:
    assert decrypt(encrypt(OLDER), SECRET, OLDER) == b"plain"
    assert decrypt(encrypt(SECRET), SECRET, OLDER) == b"plain"


def test_the_first_of_the_list_encrypts() -> None:
    cipher = encrypt(SECRET, OLDER)
    assert decrypt(cipher, SECRET) == b"plain"
    with pytest.raises(WrongSecretKey):
        decrypt(cipher, OLDER)


def test_the_same_text_never_has_the_same_cipher() -> None:
    assert len({encrypt(SECRET) for _ in range(50)}) == 50


@pytest.mark.parametrize("place", [1, 5, 12, 13, 17, 18, -16, -1])
def test_a_cipher_with_one_other_bit_does_not_open(place: int) -> None:
    cipher = bytearray(encrypt(SECRET))
    cipher[place] ^= 1
    with pytest.raises(WrongSecretKey):
        decrypt(bytes(cipher), SECRET)


def test_each_purpose_and_each_secret_has_its_own_key_of_256_bits() -> None:
    secrets = SecretKeys([SECRET, OLDER])
    keys = {*secrets.derive("one"), *secrets.derive("two")}
    assert [len(key) for key in keys] == [32] * 4


def test_a_key_is_derived_as_rfc_5869_says() -> None:
    # HKDF with SHA-256 and no salt, for the secret above; computed by hand with HMAC.
    assert SecretKeys([SECRET]).derive("one") == [
        bytes.fromhex("3616a698c0c40bae016879a0c9113301db66cf78217fe1380742967cf8417dfe")
    ]
