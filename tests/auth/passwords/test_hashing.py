"""Password hashing: verification, threads, the queue, and equal time for unknown users."""

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

PASSWORD = "a password of my own"

# Passwords that differ by one character past byte 72, or that are not ASCII.
DIFFICULT = {
    "72 bytes": "a" * 72,
    "73 bytes": "a" * 73,
    "73 bytes in fewer characters": "é" * 36 + "x",
    "1000 characters": "a" * 999 + "b",
    "longest": "€" * PASSWORD_MAX_LENGTH,
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
    """One thread, and a queue of two."""
    passwords = Passwords(
        cost=4, threads=1, rejected_after=timedelta(), seconds_each=QUEUE_MAX_SECONDS / 2
    )
    await passwords.start()
    yield passwords
    passwords.stop()


@contextmanager
def blocked_hashes(passwords: Passwords, count: int) -> Iterator[list[asyncio.Task[bool]]]:
    """Starts hashes that do not end before the block."""
    release = threading.Event()
    try:
        yield [asyncio.create_task(passwords.run(release.wait)) for _ in range(count)]
    finally:
        release.set()


async def settle() -> None:
    """Waits for callbacks from threads."""
    await asyncio.sleep(0.1)


async def test_default_hash_is_bcrypt_sha256_with_cost_12() -> None:
    passwords = Passwords(cost=Settings.model_fields["bcrypt_cost"].default, threads=1)
    stored = await passwords.hash("correct horse")
    passwords.stop()
    assert stored.startswith("$bcrypt-sha256$v=2,t=2b,r=12$")


async def test_password_matches_its_hash(passwords: Passwords) -> None:
    stored = await passwords.hash(PASSWORD)
    assert await passwords.verify(PASSWORD, stored)
    assert not await passwords.verify(PASSWORD + "x", stored)
    assert not passwords.needs_rehash(stored)


async def test_hashes_of_same_password_differ(passwords: Passwords) -> None:
    assert await passwords.hash(PASSWORD) != await passwords.hash(PASSWORD)


@pytest.mark.parametrize("kind", DIFFICULT)
async def test_every_character_of_password_counts(passwords: Passwords, kind: str) -> None:
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
async def test_composed_and_decomposed_forms_match(
    passwords: Passwords, one: str, other: str
) -> None:
    assert await passwords.verify(other, await passwords.hash(one))
    assert await passwords.verify(one, await passwords.hash(other))


async def test_compatibility_characters_do_not_match(passwords: Passwords) -> None:
    stored = await passwords.hash("fine wide A")
    assert not await passwords.verify("\ufb01ne wide A", stored)
    assert not await passwords.verify("fine wide \uff21", stored)


@given(st.text())
def test_normalise_is_idempotent(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@pytest.mark.parametrize(
    "text", ["a" * 1025, "a" * 1_000_000, "nul\0", "\0", "half \ud800", "\udc00 other half"]
)
@pytest.mark.parametrize("stored", [None, "", "rubbish", "$2b$04$" + "." * 53])
async def test_unacceptable_input_is_wrong_without_hashing(
    narrow: Passwords, text: str, stored: str | None
) -> None:
    assert not is_acceptable_input(text)
    with blocked_hashes(narrow, 2):
        assert not await narrow.verify(text, stored)


async def test_long_input_is_rejected_before_normalising(passwords: Passwords) -> None:
    started_at = time.process_time()
    # Normalising this takes half a minute.
    assert not await passwords.verify("a" + "\u0315\u0300" * 100_000, None)
    assert time.process_time() - started_at < 1


async def test_password_of_dummy_hash_does_not_match(passwords: Passwords) -> None:
    assert not await passwords.verify("the password of the dummy hash", None)
    assert not await passwords.verify("the password of the dummy hash", "rubbish")


async def test_missing_hash_takes_time_of_wrong_password(passwords: Passwords) -> None:
    stored = await passwords.hash(PASSWORD)
    took: dict[str | None, list[float]] = {stored: [], None: [], "rubbish": []}
    for _ in range(30):
        for of, times in took.items():
            started_at = time.process_time()
            await passwords.verify("wrong", of)
            times.append(time.process_time() - started_at)
    wrong = min(took.pop(stored))
    assert [min(times) for times in took.values()] == [pytest.approx(wrong, rel=0.3)] * 2


async def test_hashing_does_not_block_event_loop() -> None:
    slow = Passwords(cost=10, threads=1)
    hashing = asyncio.create_task(slow.hash(PASSWORD))
    turns = 0
    while not hashing.done():
        await asyncio.sleep(0.001)
        turns += 1
    slow.stop()
    assert turns > 10


async def niceness_of_hashing(passwords: Passwords) -> int:
    return await passwords.run(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))


async def test_hashing_threads_have_lower_priority(passwords: Passwords) -> None:
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert await niceness_of_hashing(passwords) >= HASHING_NICENESS
    assert os.getpriority(os.PRIO_PROCESS, 0) == own


async def test_niceness_is_changed_on_linux_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    on_macos = Passwords(cost=4, threads=1)
    assert await niceness_of_hashing(on_macos) == os.getpriority(os.PRIO_PROCESS, 0)
    on_macos.stop()


async def test_full_queue_rejects_with_retry_after(narrow: Passwords) -> None:
    with blocked_hashes(narrow, 2) as waiting:
        await asyncio.sleep(0)
        for slow_work in (narrow.verify(PASSWORD, None), narrow.hash(PASSWORD)):
            with pytest.raises(RateLimited) as refused:
                await asyncio.wait_for(slow_work, timeout=1)
            assert refused.value.retry_after.total_seconds() == QUEUE_MAX_SECONDS
    await asyncio.gather(*waiting)
    await settle()
    assert not await narrow.verify(PASSWORD, None)


async def test_place_in_queue_is_reserved_and_released(
    narrow: Passwords,
) -> None:
    async with narrow.place_in_queue(Share.UNKNOWN), narrow.place_in_queue(Share.UNKNOWN):
        with pytest.raises(RateLimited):
            async with narrow.place_in_queue(Share.UNKNOWN):
                pass
        # Reserved places do not reject requests that hold one.
        assert not await narrow.verify(PASSWORD, None)
    async with narrow.place_in_queue(Share.UNKNOWN):
        pass


async def fill(passwords: Passwords, share: Share, release: threading.Event) -> int:
    """Starts hashes of a share until the queue is full. Returns how many it accepted."""
    count = 0
    while passwords.has_room(share):
        asyncio.create_task(passwords.run(release.wait, share=share))  # noqa: RUF006
        await asyncio.sleep(0)
        count += 1
    return count


async def test_full_queue_delays_rejections() -> None:
    passwords = Passwords(cost=4, threads=1, rejected_after=timedelta(hours=1))
    with blocked_hashes(passwords, 1):
        await asyncio.sleep(0)
        # Before the start a queue has one place per thread.
        *delayed, at_once = [
            asyncio.create_task(passwords.verify(PASSWORD, None)) for _ in range(1_001)
        ]
        with pytest.raises(RateLimited):
            await at_once
        assert not any(task.done() for task in delayed)
        for task in delayed:
            task.cancel()
    passwords.stop()


async def test_queue_reserves_places_for_sign_ins_and_known_devices() -> None:
    release = threading.Event()
    passwords = Passwords(
        cost=4, threads=1, rejected_after=timedelta(), seconds_each=QUEUE_MAX_SECONDS / 20
    )
    await passwords.start()
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


async def test_queue_gives_unused_places_to_sign_ins() -> None:
    for share in (Share.UNKNOWN, Share.KNOWN):
        release = threading.Event()
        passwords = Passwords(cost=4, threads=1, seconds_each=QUEUE_MAX_SECONDS / 20)
        await passwords.start()
        try:
            assert await fill(passwords, share, release) == 15
        finally:
            release.set()
            passwords.stop()


async def test_cancelled_running_hash_counts_until_done(narrow: Passwords) -> None:
    with blocked_hashes(narrow, 1) as [running]:
        await settle()
        running.cancel()
        await settle()
        assert narrow.pending == 1
    await settle()
    assert narrow.pending == 0


async def test_cancelled_queued_hash_frees_place(narrow: Passwords) -> None:
    with blocked_hashes(narrow, 2) as [_, waiting]:
        await settle()
        waiting.cancel()
        await settle()
        assert narrow.pending == 1
        another = asyncio.create_task(narrow.verify(PASSWORD, None))
    assert not await another


async def test_failed_hash_frees_place(narrow: Passwords) -> None:
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            await narrow.run(lambda: 1 // 0)
        await settle()


async def test_queue_before_start_has_one_place_per_thread() -> None:
    new = Passwords(cost=4, threads=1)
    with blocked_hashes(new, 1):
        await asyncio.sleep(0)
        with pytest.raises(RateLimited) as refused:
            await new.hash(PASSWORD)
        assert refused.value.retry_after.total_seconds() == 1
    new.stop()


def test_hash_that_ends_after_event_loop_logs_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    passwords, release = Passwords(cost=4, threads=1), threading.Event()

    async def leave() -> None:
        running = asyncio.create_task(passwords.run(release.wait))
        await asyncio.sleep(0.05)
        running.cancel()

    with caplog.at_level(logging.ERROR):
        asyncio.run(leave())
        release.set()
        passwords.stop()
        for thread in threading.enumerate():
            if thread.name.startswith("password"):
                thread.join(timeout=60)
    assert caplog.records == []


async def test_stop_cancels_queued_hashes(narrow: Passwords) -> None:
    with blocked_hashes(narrow, 2) as [_, waiting]:
        # The first must be running, or the thread might still take the second.
        await settle()
        narrow.stop()
        with pytest.raises(asyncio.CancelledError):
            await waiting
