"""Ids that sort by their creation."""

import time
from concurrent.futures import ThreadPoolExecutor

from models.base import uuid7


def test_an_id_is_a_uuid_of_version_seven_and_of_now() -> None:
    identifier = uuid7()
    assert (identifier.version, identifier.variant) == (7, "specified in RFC 4122")
    assert abs((identifier.int >> 80) - time.time() * 1000) < 1000


def test_ids_strictly_increase() -> None:
    ids = [uuid7() for _ in range(5000)]
    assert ids == sorted(set(ids))


def test_ids_are_unique_across_threads() -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: uuid7(), range(5000)))
    assert len(set(ids)) == 5000
