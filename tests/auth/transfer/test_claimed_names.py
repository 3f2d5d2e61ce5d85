"""Names that earlier lines of an import claim."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from auth.transfer.claimed_names import Claim, ClaimedNames
from auth.transfer.import_lines import ImportedUser, ImportLine, parse_line
from models.base import uuid7

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def claims() -> Iterator[ClaimedNames]:
    with closing(ClaimedNames()) as claims:
        yield claims


def line(number: int, **fields: object) -> ImportedUser:
    user = parse_line(ImportLine(number, fields), {"user": uuid7()}, NOW)
    assert isinstance(user, ImportedUser)
    return user


def claim(claims: ClaimedNames, *lines: ImportedUser) -> None:
    with claims.batch(lines) as batch:
        for one in lines:
            batch.claim(one)


def find(claims: ClaimedNames, one: ImportedUser) -> Claim | None:
    with claims.batch([one]) as batch:
        return batch.find(one)


def claim_and_fail(claims: ClaimedNames) -> None:
    carol = line(1, username="carol")
    with claims.batch([carol]) as batch:
        batch.claim(carol)
        raise ZeroDivisionError


def test_username_email_and_id_are_claimed(claims: ClaimedNames) -> None:
    user_id = str(uuid4())
    claim(claims, line(1, username="carol", email="c@example.com", id=user_id))
    assert find(claims, line(2, username="CAROL")) == Claim(1, "username")
    assert find(claims, line(2, username="dave", email="C@example.com")) == Claim(1, "email")
    assert find(claims, line(2, username="dave", id=user_id)) == Claim(1, "id")
    assert find(claims, line(2, username="dave")) is None


def test_failed_batch_claims_nothing(claims: ClaimedNames) -> None:
    with pytest.raises(ZeroDivisionError):
        claim_and_fail(claims)
    claim(claims, line(2, username="carol"))
    assert find(claims, line(3, username="carol")) == Claim(2, "username")


def test_full_disk_raises_os_error() -> None:
    db = sqlite3.connect("", isolation_level=None)
    claims = ClaimedNames(db)
    db.execute("PRAGMA max_page_count = 4")
    lines = [line(number, username=f"user{number}") for number in range(1000)]
    with pytest.raises(OSError, match="the temporary file of the import cannot be written"):
        claim(claims, *lines)
