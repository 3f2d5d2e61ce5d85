"""Which passwords may be chosen."""

import pytest

from auth.password_policy import PasswordPolicy, common_passwords

POLICY = PasswordPolicy(minimum_length=8)


def problems(password: str, username: str = "alice", email: str = "alice@example.com") -> list[str]:
    found = POLICY.problems(password, username=username, email=email)
    return [problem.code for problem in found]


@pytest.mark.parametrize(
    "password",
    ["correct horse battery", "a" * 1024, "  eight ch", "пароль мой длинный", "🔑" * 8, "x7#kQ2!p"],
)
def test_a_good_password_has_no_problems(password: str) -> None:
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
        ("i am Alice indeed", "PASSWORD_TOO_PERSONAL"),
        ("mail alice@example.com", "PASSWORD_TOO_PERSONAL"),
        ("the postern is open", "PASSWORD_TOO_PERSONAL"),
    ],
)
def test_a_bad_password_is_told_why(password: str, code: str) -> None:
    assert problems(password) == [code]


def test_every_problem_is_told_at_once() -> None:
    assert problems("alice") == ["PASSWORD_TOO_SHORT", "PASSWORD_TOO_PERSONAL"]


def test_a_very_short_name_is_not_looked_for() -> None:
    assert problems("albatross at sea", username="al", email="al@example.com") == []


def test_the_list_is_longer_than_the_standards_ask_for() -> None:
    assert len(common_passwords()) > 3000


def test_a_longer_minimum_can_be_asked_for() -> None:
    found = list(PasswordPolicy(15).problems("fourteen chars", username="a", email=None))
    assert found[0].message == "A password has at least 15 characters."
