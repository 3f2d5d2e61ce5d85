"""What a line has claimed is known to later ones, and is forgotten with its attempt."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from auth.transfer.import_claims import Claim, Claims
from auth.transfer.import_lines import Incoming, Line, parse_line
from models.base import uuid7

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def claims() -> Iterator[Claims]:
    with closing(Claims()) as claims:
        yield claims


def line(number: int, **fields: object) -> Incoming:
    incoming = parse_line(Line(number, fields), {"user": uuid7()}, NOW)
    assert isinstance(incoming, Incoming)
    return incoming


def claim(claims: Claims, *lines: Incoming) -> None:
    with claims.attempt(lines) as attempt:
        for one in lines:
            attempt.claim(one)


def find(claims: Claims, one: Incoming) -> Claim | None:
    with claims.attempt([one]) as attempt:
        return attempt.find(one)


def claim_and_fail(claims: Claims) -> None:
    carol = line(1, username="carol")
    with claims.attempt([carol]) as attempt:
        attempt.claim(carol)
        raise ZeroDivisionError


def test_a_name_an_address_and_an_id_are_claimed(claims: Claims) -> None:
    user_id = str(uuid4())
    claim(claims, line(1, username="carol", email="c@example.com", id=user_id))
    assert find(claims, line(2, username="CAROL")) == Claim(1, "username")
    assert find(claims, line(2, username="dave", email="C@example.com")) == Claim(1, "email")
    assert find(claims, line(2, username="dave", id=user_id)) == Claim(1, "id")
    assert find(claims, line(2, username="dave")) is None


def test_a_failed_attempt_is_forgotten(claims: Claims) -> None:
    with pytest.raises(ZeroDivisionError):
        claim_and_fail(claims)
    claim(claims, line(2, username="carol"))
    assert find(claims, line(3, username="carol")) == Claim(2, "username")


def test_a_full_disk_is_an_error_of_the_system(claims: Claims) -> None:
    claims._db.execute("PRAGMA max_page_count = 4")
    lines = [line(number, username=f"person{number}") for number in range(1000)]
    with pytest.raises(OSError, match="the names seen so far cannot be kept"):
        claim(claims, *lines)
