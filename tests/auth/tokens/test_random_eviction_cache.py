"""The cache with random eviction: its size, contents and hit rate."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth.tokens.random_eviction_cache import RandomEvictionCache

MAX_ENTRIES = 5
KEYS = st.integers(0, 9)
STEPS = st.lists(
    st.tuples(st.just("put"), KEYS, st.integers()) | st.tuples(st.just("pop"), KEYS, st.none()),
    max_size=200,
)


@given(STEPS)
def test_cache_holds_newest_values_up_to_max_entries(
    steps: list[tuple[str, int, int | None]],
) -> None:
    cache, expected = RandomEvictionCache[int, int | None](MAX_ENTRIES), dict[int, int | None]()
    for act, key, value in steps:
        if act == "pop":
            assert cache.pop(key) == expected.pop(key, None)
            continue
        before = dict(cache.entries)
        evicted = cache.put(key, value)
        expected[key] = value
        gone = before.keys() - cache.entries.keys()
        assert [before[key] for key in gone] == ([] if not gone else [evicted])
        for key_ in gone:
            del expected[key_]
        assert cache.entries == expected
        assert len(cache) <= MAX_ENTRIES


def test_cleared_cache_is_empty() -> None:
    cache = RandomEvictionCache[int, int](2)
    for number in range(5):
        cache.put(number, number)
    cache.clear()
    assert len(cache) == 0
    for number in range(5):
        cache.put(number, number)
    assert len(cache) == 2


@pytest.mark.parametrize(("keys", "least_hits"), [(100, 1.0), (105, 0.85), (120, 0.6), (200, 0.15)])
def test_hit_rate_falls_gradually(keys: int, least_hits: float) -> None:
    """Keys are used in turn, for which an LRU cache has no hits."""
    cache, hits, rounds = RandomEvictionCache[int, int](100), 0, 200
    for turn in range(rounds + 1):
        for key in range(keys):
            if key in cache.entries:
                hits += turn > 0
            else:
                cache.put(key, key)
    assert hits / (rounds * keys) >= least_hits
