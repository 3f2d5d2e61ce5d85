"""A cache that slows down gradually: its bound, its content, and how many look-ups it answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth.tokens.random_eviction_cache import RandomEvictionCache

ROOM = 5
KEYS = st.integers(0, 9)
STEPS = st.lists(
    st.tuples(st.just("put"), KEYS, st.integers()) | st.tuples(st.just("pop"), KEYS, st.none()),
    max_size=200,
)


@given(STEPS)
def test_cache_holds_the_newest_value_of_each_key_within_its_bound(
    steps: list[tuple[str, int, int | None]],
) -> None:
    cache, expected = RandomEvictionCache[int, int | None](ROOM), dict[int, int | None]()
    for act, key, value in steps:
        if act == "pop":
            assert cache.pop(key) == expected.pop(key, None)
            continue
        before = dict(cache.entries)
        dropped = cache.put(key, value)
        expected[key] = value
        gone = before.keys() - cache.entries.keys()
        assert [before[key] for key in gone] == ([] if not gone else [dropped])
        for key_ in gone:
            del expected[key_]
        assert cache.entries == expected
        assert len(cache) <= ROOM


def test_cleared_cache_is_as_new() -> None:
    cache = RandomEvictionCache[int, int](2)
    for number in range(5):
        cache.put(number, number)
    cache.clear()
    assert len(cache) == 0
    for number in range(5):
        cache.put(number, number)
    assert len(cache) == 2


@pytest.mark.parametrize(("keys", "least_hits"), [(100, 1.0), (105, 0.85), (120, 0.6), (200, 0.15)])
def test_hits_fall_gradually_with_the_number_of_keys(keys: int, least_hits: float) -> None:
    """Used in turn, which is where a least-recently-used cache answers nothing at all."""
    cache, hits, rounds = RandomEvictionCache[int, int](100), 0, 200
    for turn in range(rounds + 1):
        for key in range(keys):
            if key in cache.entries:
                hits += turn > 0
            else:
                cache.put(key, key)
    assert hits / (rounds * keys) >= least_hits
