"""The cache of prepared documents."""

from hypothesis import given
from hypothesis import strategies as st

from graph.documents.cache import DocumentCache


def key(number: int) -> tuple[str, str | None]:
    return (f"document {number}", None)


def test_cached_value_is_returned() -> None:
    cache = DocumentCache[str](100)
    cache.put(key(1), "one", 10)
    assert (cache.get(key(1)), cache.get(key(2))) == ("one", None)


def test_cache_key_includes_the_operation_name() -> None:
    cache = DocumentCache[str](100)
    cache.put(("document", "A"), "a", 10)
    assert cache.get(("document", "B")) is None


def test_flood_of_new_documents_does_not_evict_a_used_one() -> None:
    cache = DocumentCache[str](100)
    cache.put(key(0), "used", 10)
    assert cache.get(key(0)) == "used"
    for number in range(1, 1000):
        cache.put(key(number), "new", 10)
    assert cache.get(key(0)) == "used"


def test_entry_heavier_than_the_cache_is_not_kept() -> None:
    cache = DocumentCache[str](100)
    cache.put(key(1), "heavy", 1000)
    assert len(cache) == 0


@given(
    st.lists(
        st.tuples(st.sampled_from(["put", "get"]), st.integers(0, 20), st.integers(1, 60)),
        max_size=200,
    )
)
def test_cache_never_exceeds_its_weight(steps: list[tuple[str, int, int]]) -> None:
    cache = DocumentCache[int](100)
    weights: dict[tuple[str, str | None], int] = {}
    for act, number, weight in steps:
        if act == "put":
            cache.put(key(number), number, weight)
            weights[key(number)] = weight
        else:
            assert cache.get(key(number)) in {None, number}
    kept = [number for number in range(21) if cache.get(key(number)) is not None]
    assert sum(weights[key(number)] for number in kept) <= 100


def test_flood_of_documents_used_twice_does_not_evict_frequent_ones() -> None:
    cache = DocumentCache[str](100)
    cache.put(key(0), "often", 10)
    for number in range(1, 1_000):
        assert cache.get(key(0)) == "often"
        cache.put(key(number), "rare", 20)
        assert cache.get(key(number)) == "rare"
    assert cache.get(key(0)) == "often"


def test_frequent_documents_survive_a_burst_of_others() -> None:
    cache = DocumentCache[str](100)
    for number in range(5):
        cache.put(key(number), "often", 10)
        for _ in range(200):
            cache.get(key(number))
    for number in range(10, 110):
        cache.put(key(number), "rare", 25)
        cache.get(key(number))
        cache.get(key(number))
    assert [cache.get(key(number)) for number in range(5)] == ["often"] * 5


def test_documents_of_an_old_release_are_evicted() -> None:
    cache = DocumentCache[str](100)
    for number in range(7):
        cache.put(key(number), "old", 10)
        for _ in range(2_000):
            cache.get(key(number))
    cache.put(key(100), "new", 20)
    for _ in range(2_000):
        cache.get(key(100))
    cache.put(key(101), "other", 25)
    assert cache.get(key(100)) == "new"
    assert len(cache) <= 7
