"""Passwords: verified whole, hashed beside the event loop, and the same time for nobody."""

import asyncio
import logging
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth.errors import RateLimited
from auth.passwords.hash_threads import HASHING_NICENESS
from auth.passwords.hashing import (
    PASSWORD_MAX_LENGTH,
    QUEUE_MAX_SECONDS,
    Passwords,
    Share,
    is_acceptable_input,
    normalise,
)
from server.settings import Settings

PASSWORD = "an own password, long as life"

# Each told apart from its neighbours by a single character, beyond byte 72 and out of ASCII.
DIFFICULT = {
    "72 bytes": "a" * 72,
    "73 bytes": "a" * 73,
    "73 bytes in fewer characters": "é" * 36 + "x",
    "1000 characters": "a" * 999 + "b",
    "as long as may be": "€" * PASSWORD_MAX_LENGTH,
    "emoji": "🔑🚪🪄" * 8,
    "blanks around": "  correct horse  ",
    "blanks only": " " * 12,
    "capitals": "CORRECT HORSE",
}


@pytest.fixture
async def passwords() -> AsyncIterator[Passwords]:
    passwords = Passwords(cost=4, threads=2)
    await passwords.start()
    yield passwords
    passwords.stop()


@pytest.fixture
async def narrow() -> AsyncIterator[Passwords]:
    """One thread, and a bound of two."""
    passwords = Passwords(cost=4, threads=1, refused_after=timedelta())
    await passwords.start()
    passwords._seconds_each = QUEUE_MAX_SECONDS / 2
    yield passwords
    passwords.stop()


@contextmanager
def stuck(passwords: Passwords, count: int) -> Iterator[list[asyncio.Task[bool]]]:
    """That many hashes that do not end before the block does."""
    door = threading.Event()
    try:
        yield [asyncio.create_task(passwords._run(door.wait)) for _ in range(count)]
    finally:
        door.set()


async def settle() -> None:
    """Lets what was called from threads arrive."""
    await asyncio.sleep(0.1)


async def test_default_hash_is_bcrypt_sha256_of_cost_12() -> None:
    passwords = Passwords(cost=Settings.model_fields["bcrypt_cost"].default, threads=1)
    stored = await passwords.hash("correct horse")
    passwords.stop()
    assert stored.startswith("$bcrypt-sha256$v=2,t=2b,r=12$")


async def test_a_password_verifies_against_its_hash(passwords: Passwords) -> None:
    stored = await passwords.hash(PASSWORD)
    assert await passwords.verify(PASSWORD, stored)
    assert not await passwords.verify(PASSWORD + "x", stored)
    assert not passwords.needs_rehash(stored)


async def test_the_same_password_twice_has_two_hashes(passwords: Passwords) -> None:
    assert await passwords.hash(PASSWORD) != await passwords.hash(PASSWORD)


@pytest.mark.parametrize("kind", DIFFICULT)
async def test_nothing_of_a_password_is_cut_off(passwords: Passwords, kind: str) -> None:
    password = DIFFICULT[kind]
    stored = await passwords.hash(password)
    assert await passwords.verify(password, stored)
    cut, changed = (password[:-1], password[1:]), (password[:-1] + "!", password.lower())
    for neighbour in {*cut, *changed, password + " "} - {password}:
        assert not await passwords.verify(neighbour, stored)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("caf\u00e9 au lait", "cafe\u0301 au lait"),
        ("\u1e9b\u0323 is one letter", "\u017f\u0323\u0307 is one letter"),
        ("\ud55c\uae00 is Korean", "\u1112\u1161\u11ab\u1100\u1173\u11af is Korean"),
    ],
)
async def test_composed_and_decomposed_are_the_same_password(
    passwords: Passwords, one: str, other: str
) -> None:
    assert await passwords.verify(other, await passwords.hash(one))
    assert await passwords.verify(one, await passwords.hash(other))


async def test_letters_that_only_look_alike_are_told_apart(passwords: Passwords) -> None:
    stored = await passwords.hash("fine wide A")
    assert not await passwords.verify("\ufb01ne wide A", stored)
    assert not await passwords.verify("fine wide \uff21", stored)


@given(st.text())
def test_normalising_again_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@pytest.mark.parametrize(
    "text", ["a" * 1025, "a" * 1_000_000, "nul\0", "\0", "half \ud800", "\udc00 other half"]
)
@pytest.mark.parametrize("stored", [None, "", "rubbish", "$2b$04$" + "." * 53])
async def test_what_can_be_no_password_is_wrong_for_everybody_without_a_hash(
    narrow: Passwords, text: str, stored: str | None
) -> None:
    assert not is_acceptable_input(text)
    with stuck(narrow, 2):
        assert not await narrow.verify(text, stored)


async def test_a_hostile_text_is_refused_before_it_is_normalised(passwords: Passwords) -> None:
    began = time.process_time()
    # Normalising this takes half a minute: its marks are sorted one by one.
    assert not await passwords.verify("a" + "\u0315\u0300" * 100_000, None)
    assert time.process_time() - began < 1


async def test_nobody_has_the_password_of_the_dummy(passwords: Passwords) -> None:
    assert not await passwords.verify("a password that nobody has", None)
    assert not await passwords.verify("a password that nobody has", "rubbish")


async def test_nobody_costs_the_time_of_a_wrong_password(passwords: Passwords) -> None:
    stored = await passwords.hash(PASSWORD)
    took: dict[str | None, list[float]] = {stored: [], None: [], "rubbish": []}
    for _ in range(30):
        for of, times in took.items():
            began = time.process_time()
            await passwords.verify("wrong", of)
            times.append(time.process_time() - began)
    wrong = min(took.pop(stored))
    assert [min(times) for times in took.values()] == [pytest.approx(wrong, rel=0.3)] * 2


async def test_the_event_loop_runs_on_while_a_password_is_hashed() -> None:
    slow = Passwords(cost=10, threads=1)
    hashing = asyncio.create_task(slow.hash(PASSWORD))
    turns = 0
    while not hashing.done():
        await asyncio.sleep(0.001)
        turns += 1
    slow.stop()
    assert turns > 10


async def niceness_of_hashing(passwords: Passwords) -> int:
    return await passwords._run(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))


async def test_hashing_threads_have_a_lower_priority(passwords: Passwords) -> None:
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert await niceness_of_hashing(passwords) >= HASHING_NICENESS
    assert os.getpriority(os.PRIO_PROCESS, 0) == own


async def test_where_a_niceness_is_of_the_whole_process_it_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    elsewhere = Passwords(cost=4, threads=1)
    assert await niceness_of_hashing(elsewhere) == os.getpriority(os.PRIO_PROCESS, 0)
    elsewhere.stop()


async def test_full_queue_refuses_with_the_time_to_wait(narrow: Passwords) -> None:
    with stuck(narrow, 2) as waiting:
        await asyncio.sleep(0)
        for slow_work in (narrow.verify(PASSWORD, None), narrow.hash(PASSWORD)):
            with pytest.raises(RateLimited) as refused:
                await asyncio.wait_for(slow_work, timeout=1)
            assert refused.value.retry_after.total_seconds() == QUEUE_MAX_SECONDS
    await asyncio.gather(*waiting)
    await settle()
    assert not await narrow.verify(PASSWORD, None)


async def test_a_place_in_the_queue_is_taken_before_the_hash_and_given_back(
    narrow: Passwords,
) -> None:
    async with narrow.place_in_queue(Share.UNKNOWN), narrow.place_in_queue(Share.UNKNOWN):
        with pytest.raises(RateLimited):
            async with narrow.place_in_queue(Share.UNKNOWN):
                pass
        # It keeps out those who come, not those who are in.
        assert not await narrow.verify(PASSWORD, None)
    async with narrow.place_in_queue(Share.UNKNOWN):
        pass


async def fill(passwords: Passwords, share: Share, release: threading.Event) -> int:
    """Starts hashes of this share until the queue is full; returns how many it took."""
    count = 0
    while passwords.has_room(share):
        asyncio.create_task(passwords._run(release.wait, share=share))  # noqa: RUF006
        await asyncio.sleep(0)
        count += 1
    return count


async def test_full_queue_delays_refusals_so_that_retries_cannot_starve_hashing() -> None:
    passwords = Passwords(cost=4, threads=1, refused_after=timedelta(hours=1))
    with stuck(passwords, 1):
        await asyncio.sleep(0)
        # Before its start a queue has one place for each thread.
        *delayed, at_once = [
            asyncio.create_task(passwords.verify(PASSWORD, None)) for _ in range(1_001)
        ]
        with pytest.raises(RateLimited):
            await at_once
        assert not any(task.done() for task in delayed)
        for task in delayed:
            task.cancel()
    passwords.stop()


async def test_queue_keeps_places_for_logins_and_for_known_devices() -> None:
    """T5: registrations took all places of the queue."""
    passwords, release = Passwords(cost=4, threads=1, refused_after=timedelta()), threading.Event()
    await passwords.start()
    passwords._seconds_each = QUEUE_MAX_SECONDS / 20
    try:
        assert await fill(passwords, Share.OTHER, release) == 10
        assert await fill(passwords, Share.UNKNOWN, release) == 5
        assert await fill(passwords, Share.KNOWN, release) == 5
        for share in Share:
            with pytest.raises(RateLimited):
                async with passwords.place_in_queue(share):
                    pass
    finally:
        release.set()
        passwords.stop()


async def test_queue_gives_unused_places_to_logins() -> None:
    for share in (Share.UNKNOWN, Share.KNOWN):
        passwords, release = Passwords(cost=4, threads=1), threading.Event()
        await passwords.start()
        passwords._seconds_each = QUEUE_MAX_SECONDS / 20
        try:
            assert await fill(passwords, share, release) == 15
        finally:
            release.set()
            passwords.stop()


async def test_a_running_hash_that_was_given_up_counts_until_it_is_done(narrow: Passwords) -> None:
    with stuck(narrow, 1) as [running]:
        await settle()
        running.cancel()
        await settle()
        assert narrow.pending == 1
    await settle()
    assert narrow.pending == 0


async def test_a_waiting_hash_that_was_given_up_makes_room_at_once(narrow: Passwords) -> None:
    with stuck(narrow, 2) as [_, waiting]:
        await settle()
        waiting.cancel()
        await settle()
        assert narrow.pending == 1
        another = asyncio.create_task(narrow.verify(PASSWORD, None))
    assert not await another


async def test_a_hash_that_fails_makes_room_too(narrow: Passwords) -> None:
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            await narrow._run(lambda: 1 // 0)
        await settle()


async def test_before_it_knows_how_long_a_hash_takes_every_thread_takes_one() -> None:
    new = Passwords(cost=4, threads=1)
    with stuck(new, 1):
        await asyncio.sleep(0)
        with pytest.raises(RateLimited) as refused:
            await new.hash(PASSWORD)
        assert refused.value.retry_after.total_seconds() == 1
    new.stop()


def test_a_hash_that_outlives_the_event_loop_ends_in_silence(
    caplog: pytest.LogCaptureFixture,
) -> None:
    passwords, door = Passwords(cost=4, threads=1), threading.Event()

    async def leave() -> None:
        running = asyncio.create_task(passwords._run(door.wait))
        await asyncio.sleep(0.05)
        running.cancel()

    with caplog.at_level(logging.ERROR):
        asyncio.run(leave())
        door.set()
        passwords.stop()
        for thread in threading.enumerate():
            if thread.name.startswith("password"):
                thread.join(timeout=60)
    assert caplog.records == []


async def test_stopping_drops_what_waits(narrow: Passwords) -> None:
    with stuck(narrow, 2) as [_, waiting]:
        # The first is running by now: of two that wait, the thread might still take the second.
        await settle()
        narrow.stop()
        with pytest.raises(asyncio.CancelledError):
            await waiting
