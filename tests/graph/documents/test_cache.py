"""What was made of documents is remembered within a bound."""

from hypothesis import given
from hypothesis import strategies as st

from graph.documents.cache import DocumentCache


def key(number: int) -> tuple[str, str | None]:
    return (f"document {number}", None)


def test_what_was_put_is_found() -> None:
    cache = DocumentCache[str](100)
    cache.put(key(1), "one", 10)
    assert (cache.get(key(1)), cache.get(key(2))) == ("one", None)


def test_the_name_of_the_operation_belongs_to_the_key() -> None:
    cache = DocumentCache[str](100)
    cache.put(("document", "A"), "a", 10)
    assert cache.get(("document", "B")) is None


def test_a_flood_of_newcomers_pushes_no_regular_out() -> None:
    cache = DocumentCache[str](100)
    cache.put(key(0), "regular", 10)
    assert cache.get(key(0)) == "regular"
    for number in range(1, 1000):
        cache.put(key(number), "newcomer", 10)
    assert cache.get(key(0)) == "regular"


def test_what_is_too_heavy_is_not_kept() -> None:
    cache = DocumentCache[str](100)
    cache.put(key(1), "heavy", 1000)
    assert len(cache) == 0


@given(
    st.lists(
        st.tuples(st.sampled_from(["put", "get"]), st.integers(0, 20), st.integers(1, 60)),
        max_size=200,
    )
)
def test_whatever_comes_it_stays_within_its_weight(steps: list[tuple[str, int, int]]) -> None:
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


def test_flood_of_documents_that_each_come_twice_keeps_those_that_come_often() -> None:
    cache = DocumentCache[str](100)
    cache.put(key(0), "often", 10)
    for number in range(1, 1_000):
        assert cache.get(key(0)) == "often"
        cache.put(key(number), "rare", 20)
        assert cache.get(key(number)) == "rare"
    assert cache.get(key(0)) == "often"


def test_often_used_documents_outlive_a_burst_in_which_they_do_not_come() -> None:
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


def test_documents_of_an_old_release_leave_in_the_end() -> None:
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
