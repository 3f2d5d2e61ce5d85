"""The password policy."""

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth.passwords.hashing import is_acceptable_input
from auth.passwords.policy import PasswordPolicy, common_passwords

POLICY = PasswordPolicy(minimum_length=8)


def problems(password: str, username: str = "alice", email: str = "alice@example.com") -> list[str]:
    found = POLICY.problems(password, username=username, email=email)
    return [problem.code for problem in found]


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "a" * 64,
        "a" * 1024,
        "aaaaaaab",
        "e\u0301" * 500,
        "  eight ch",
        "пароль мой длинный",
        "🔑" * 8,
        "x7#kQ2!p",
    ],
)
def test_good_password_has_no_problems(password: str) -> None:
    assert problems(password) == []


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("seven77", "PASSWORD_TOO_SHORT"),
        ("", "PASSWORD_TOO_SHORT"),
        ("e\u0301" * 7, "PASSWORD_TOO_SHORT"),
        ("a" * 1025, "PASSWORD_TOO_LONG"),
        ("a" * 1_000_000, "PASSWORD_TOO_LONG"),
        ("nul\0inside it", "PASSWORD_INVALID"),
        ("half \ud800 of a pair", "PASSWORD_INVALID"),
        ("password123", "PASSWORD_TOO_COMMON"),
        ("PassWord123", "PASSWORD_TOO_COMMON"),
        ("secret123", "PASSWORD_TOO_COMMON"),
        ("\uff50assword\uff11\uff12\uff13", "PASSWORD_TOO_COMMON"),
        ("i am \uff21\uff2c\uff29\uff23\uff25 indeed", "PASSWORD_TOO_PERSONAL"),
        ("i am Alice indeed", "PASSWORD_TOO_PERSONAL"),
        ("mail alice@example.com", "PASSWORD_TOO_PERSONAL"),
        ("the postern is open", "PASSWORD_TOO_PERSONAL"),
    ],
)
def test_bad_password_has_problem(password: str, code: str) -> None:
    assert problems(password) == [code]


def test_long_input_is_rejected_before_normalising() -> None:
    started_at = time.process_time()
    # Normalising this takes half a minute.
    assert problems("a" + "\u0315\u0300" * 100_000) == ["PASSWORD_TOO_LONG"]
    assert time.process_time() - started_at < 1


def test_local_part_of_email_is_personal() -> None:
    assert problems("wonderland rabbits", email="rabbit@x.example") == ["PASSWORD_TOO_PERSONAL"]


def test_policy_applies_without_email() -> None:
    found = POLICY.problems("i am alice indeed", username="alice", email=None)
    assert [problem.code for problem in found] == ["PASSWORD_TOO_PERSONAL"]


def test_all_problems_are_reported_together() -> None:
    assert problems("alice") == ["PASSWORD_TOO_SHORT", "PASSWORD_TOO_PERSONAL"]


def test_very_short_name_is_not_personal() -> None:
    assert problems("albatross at sea", username="al", email="al@example.com") == []


def test_list_of_common_passwords_is_long_enough() -> None:
    assert len(common_passwords()) > 3000
    assert {"12345678", "qwertyuiop", "iloveyou"} <= common_passwords()


def test_minimum_length_can_be_longer() -> None:
    found = list(PasswordPolicy(15).problems("fourteen chars", username="a", email=None))
    assert found[0].message == "A password must have at least 15 characters."


@pytest.mark.parametrize("character", ["\u00e9", "\uac00", "\u1f82"])
def test_password_is_too_long_if_its_decomposed_form_is(character: str) -> None:
    assert problems(character * 1000) == ["PASSWORD_TOO_LONG"]


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=8, max_size=1024))
def test_accepted_password_is_accepted_input_in_every_form(password: str) -> None:
    if not problems(password):
        for form in ("NFC", "NFD"):
            assert is_acceptable_input(unicodedata.normalize(form, password))
