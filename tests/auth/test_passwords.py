"""Passwords: verified whole, hashed beside the event loop, and the same time for nobody."""

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator

import pytest
from passlib.hash import (
    argon2,
    bcrypt,
    bcrypt_sha256,
    django_argon2,
    django_bcrypt_sha256,
    django_pbkdf2_sha256,
    pbkdf2_sha256,
    phpass,
    scrypt,
    sha512_crypt,
)
from werkzeug.security import generate_password_hash

from auth.errors import RateLimited
from auth.passwords import HASHING_NICENESS, Passwords

PASSWORD = "an old password, long as life"


def django_scrypt(password: str) -> str:
    from django.conf import settings  # noqa: PLC0415 - Django wants to be configured first

    if not settings.configured:
        settings.configure()
    from django.contrib.auth.hashers import ScryptPasswordHasher  # noqa: PLC0415

    return str(ScryptPasswordHasher().encode(password, "salt"))


OF_OTHER_SYSTEMS = {
    "plain bcrypt": bcrypt.using(rounds=4).hash(PASSWORD),
    "plain argon2": argon2.using(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD),
    "phpass": phpass.using(rounds=7).hash(PASSWORD),
    "scrypt of passlib": scrypt.using(rounds=4).hash(PASSWORD),
    "pbkdf2 of passlib": pbkdf2_sha256.using(rounds=10).hash(PASSWORD),
    "sha512_crypt": sha512_crypt.using(rounds=1000).hash(PASSWORD),
    "Django pbkdf2": django_pbkdf2_sha256.using(rounds=10).hash(PASSWORD),
    "Django bcrypt_sha256": django_bcrypt_sha256.using(rounds=4).hash(PASSWORD),
    "Django argon2": django_argon2.using(time_cost=1, memory_cost=64).hash(PASSWORD),
    "Django scrypt": django_scrypt(PASSWORD),
    "Werkzeug scrypt": generate_password_hash(PASSWORD, "scrypt:1024:8:1"),
    "Werkzeug pbkdf2": generate_password_hash(PASSWORD, "pbkdf2:sha256:10"),
    "cheaper bcrypt_sha256": bcrypt_sha256.using(rounds=4).hash(PASSWORD),
}

BROKEN_HASHES = [
    "",
    "rubbish",
    "$2b$12$short",
    "$2b$99$" + "." * 53,
    "scrypt:x:8:1$salt$00",
    "scrypt:1073741824:8:1$salt$00",
    "scrypt$16384$salt$8$1$not base64",
    "pbkdf2:nothing:1$salt$00",
    "pbkdf2:sha256:0$salt$00",
    "pbkdf2:sha256",
]

# Told apart from each other by a single character, beyond byte 72 and out of ASCII.
DIFFICULT = {
    "73 bytes": "a" * 73,
    "1000 characters": "a" * 999 + "b",
    "emoji": "🔑🚪🪄" * 8,
    "blanks around": "  correct horse  ",
}


@pytest.fixture
async def passwords() -> AsyncIterator[Passwords]:
    passwords = Passwords(cost=5, threads=2)
    await passwords.start()
    yield passwords
    passwords.stop()


async def test_a_password_verifies_against_its_hash(passwords: Passwords) -> None:
    stored = await passwords.hash(PASSWORD)
    assert await passwords.verify(PASSWORD, stored)
    assert not await passwords.verify(PASSWORD + "x", stored)


@pytest.mark.parametrize("kind", DIFFICULT)
async def test_nothing_of_a_password_is_cut_off(passwords: Passwords, kind: str) -> None:
    password = DIFFICULT[kind]
    stored = await passwords.hash(password)
    assert await passwords.verify(password, stored)
    assert not await passwords.verify(password[:-1], stored)
    assert not await passwords.verify(password[:-1] + "!", stored)


async def test_composed_and_decomposed_are_the_same_password(passwords: Passwords) -> None:
    stored = await passwords.hash("caf\u00e9 au lait")
    assert await passwords.verify("cafe\u0301 au lait", stored)


@pytest.mark.parametrize("system", OF_OTHER_SYSTEMS)
async def test_hashes_of_other_systems_verify_and_are_to_be_replaced(
    passwords: Passwords, system: str
) -> None:
    stored = OF_OTHER_SYSTEMS[system]
    assert await passwords.verify(PASSWORD, stored)
    assert not await passwords.verify(PASSWORD + "x", stored)
    assert passwords.needs_rehash(stored)


async def test_a_hash_of_today_stays(passwords: Passwords) -> None:
    assert not passwords.needs_rehash(await passwords.hash(PASSWORD))


@pytest.mark.parametrize("guess", ["a" * 73, "a" * 72 + "b", "a" * 500])
async def test_a_long_guess_at_plain_bcrypt_is_cut_as_the_old_system_did(
    passwords: Passwords, guess: str
) -> None:
    assert await passwords.verify(guess, bcrypt.using(rounds=4).hash("a" * 72))


@pytest.mark.parametrize("guess", ["nul\0inside", "half \ud800 pair", "a" * 5000])
async def test_an_impossible_guess_matches_no_foreign_hash(
    passwords: Passwords, guess: str
) -> None:
    assert not await passwords.verify(guess, OF_OTHER_SYSTEMS["plain argon2"])
    assert not await passwords.verify(guess, OF_OTHER_SYSTEMS["Werkzeug scrypt"])


@pytest.mark.parametrize("stored", BROKEN_HASHES)
async def test_a_broken_hash_matches_nothing(passwords: Passwords, stored: str) -> None:
    assert not await passwords.verify(PASSWORD, stored)


async def test_nobody_costs_the_time_of_a_wrong_password(passwords: Passwords) -> None:
    stored = await passwords.hash(PASSWORD)
    took: dict[str | None, list[float]] = {stored: [], None: []}
    for _ in range(30):
        for of, times in took.items():
            began = time.perf_counter()
            await passwords.verify("wrong", of)
            times.append(time.perf_counter() - began)
    fastest_wrong, fastest_nobody = min(took[stored]), min(took[None])
    assert fastest_nobody == pytest.approx(fastest_wrong, rel=0.3)


async def test_the_event_loop_runs_on_while_a_password_is_hashed() -> None:
    slow = Passwords(cost=10, threads=1)
    hashing = asyncio.create_task(slow.hash(PASSWORD))
    turns = 0
    while not hashing.done():
        await asyncio.sleep(0.001)
        turns += 1
    slow.stop()
    assert turns > 10


async def test_hashing_threads_have_a_lower_priority(passwords: Passwords) -> None:
    niceness = await passwords._run(
        lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    )
    assert niceness >= HASHING_NICENESS


async def test_past_its_bound_the_queue_says_when_to_come_back() -> None:
    slow = Passwords(cost=4, threads=1)
    await slow.start()
    slow._seconds_each = 1.0
    door = threading.Event()
    waiting = [asyncio.create_task(slow._run(door.wait)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(RateLimited) as refused:
        await slow.verify(PASSWORD, None)
    assert refused.value.retry_after.total_seconds() == 2
    door.set()
    await asyncio.gather(*waiting)
    await asyncio.sleep(0)
    assert not await slow.verify(PASSWORD, None)
    slow.stop()


async def test_a_request_that_was_given_up_counts_until_its_thread_is_done() -> None:
    slow = Passwords(cost=4, threads=1)
    await slow.start()
    door = threading.Event()
    running = asyncio.create_task(slow._run(door.wait))
    await asyncio.sleep(0.05)
    running.cancel()
    await asyncio.sleep(0)
    assert slow._pending == 1
    door.set()
    await asyncio.sleep(0.1)
    assert slow._pending == 0
    slow.stop()
