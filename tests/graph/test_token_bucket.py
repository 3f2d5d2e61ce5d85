"""Token bucket: bursts, then a steady rate."""

from graph.token_bucket import TokenBucket


def test_bucket_allows_a_burst() -> None:
    bucket = TokenBucket(burst=2, per_second=1)
    assert [bucket.take(now=0) for _ in range(3)] == [True, True, False]


def test_bucket_refills_over_time_up_to_the_burst() -> None:
    bucket = TokenBucket(burst=2, per_second=1)
    assert bucket.take(now=0, tokens=2)
    assert not bucket.take(now=0.5)
    assert bucket.take(now=1)
    assert not bucket.take(now=100, tokens=3)
    assert bucket.take(now=100, tokens=2)


def test_refused_take_removes_no_tokens() -> None:
    bucket = TokenBucket(burst=1, per_second=0.001)
    assert not bucket.take(now=0, tokens=2)
    assert bucket.take(now=0)


def test_clock_that_goes_back_adds_and_removes_no_tokens() -> None:
    bucket = TokenBucket(burst=1, per_second=1)
    assert bucket.take(now=10)
    assert not bucket.take(now=5)
    assert bucket.take(now=6)
