"""Password hashes of other systems: verified, and replaced at the next sign-in."""

from collections.abc import AsyncIterator

import pytest
from django.conf import settings as django_settings
from django.contrib.auth import hashers as django
from passlib.hash import (
    argon2,
    bcrypt,
    bcrypt_sha256,
    pbkdf2_sha256,
    phpass,
    scrypt,
    sha512_crypt,
)
from sqlalchemy import select, update
from werkzeug.security import generate_password_hash

from auth.clients import Client
from auth.errors import InvalidCredentials
from auth.login import log_in
from auth.passwords.foreign_hashes import is_foreign
from auth.passwords.hashing import Passwords
from auth.wiring import Auth
from models.user import User
from tests.api import Api

PASSWORD = "an imported password"
SALT = "nacl4everybodyhere22ch"

if not django_settings.configured:
    django_settings.configure()


class CheapBcryptSha256(django.BCryptSHA256PasswordHasher):  # type: ignore[misc]
    rounds = 4


class CheapBcrypt(django.BCryptPasswordHasher):  # type: ignore[misc]
    rounds = 4


class CheapArgon2(django.Argon2PasswordHasher):  # type: ignore[misc]
    time_cost, memory_cost = 1, 64


class CheapScrypt(django.ScryptPasswordHasher):  # type: ignore[misc]
    work_factor = 1024


def of_django(hasher: django.BasePasswordHasher) -> str:
    return str(hasher.encode(PASSWORD, hasher.salt()))


OF_OTHER_SYSTEMS = {
    "bcrypt": bcrypt.using(rounds=4).hash(PASSWORD),
    "bcrypt of PHP": bcrypt.using(rounds=4, ident="2y").hash(PASSWORD),
    "argon2": argon2.using(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD),
    "phpass": phpass.using(rounds=7).hash(PASSWORD),
    "scrypt of passlib": scrypt.using(rounds=4).hash(PASSWORD),
    "pbkdf2 of passlib": pbkdf2_sha256.using(rounds=10).hash(PASSWORD),
    "sha512_crypt": sha512_crypt.using(rounds=1000).hash(PASSWORD),
    "Django pbkdf2": django.PBKDF2PasswordHasher().encode(PASSWORD, SALT, iterations=10),
    "Django bcrypt_sha256": of_django(CheapBcryptSha256()),
    "Django bcrypt": of_django(CheapBcrypt()),
    "Django argon2": of_django(CheapArgon2()),
    "Django scrypt": of_django(CheapScrypt()),
    "Werkzeug scrypt": generate_password_hash(PASSWORD, "scrypt:1024:8:1"),
    "Werkzeug pbkdf2": generate_password_hash(PASSWORD, "pbkdf2:sha256:10"),
}

MALFORMED = [
    "",
    "rubbish",
    "!",
    "$2b$12$short",
    "$2b$99$" + "." * 53,
    "$P$",
    "argon2$argon2i$v=19$m=8,t=1,p=1",
    "$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo",
    "$pbkdf2-sha256$10$gr,AWAmAMwX=PEWKM0Vqr$ZdvcHfEs7xJbNc6VCv/JDP2MfWi410rFfEx8Yx7qCK4",
    "$scrypt$ln=4,r=8,0=1$3juHsBZCSImR0pqz9t67Fw$99owyJYwehmz5EUle2m4bHCwTPQwRyk0Sp0Z3H2sFv4",
    "$bcrypt-sha256$v=3,t=2b,r=4$6c.kI9gVgINv2ecMkVsI5e$YExgfD8/prEXPqaW.i1yWX..hQS6oR2",
    "scrypt:x:8:1$salt$00",
    "scrypt:1024:8:1$salt$",
    "scrypt:-2:8:1$salt$00",
    "scrypt:1073741824:8:1$salt$00",
    "scrypt:99999999999999999999:8:1$salt$00",
    "scrypt$1024$salt$8$1$",
    "scrypt$16384$salt$8$1$not base64",
    "pbkdf2:nothing:1$salt$00",
    "pbkdf2:sha256:0$salt$00",
    "pbkdf2:sha256:99999999999999999999$salt$00",
    "pbkdf2:sha256:1$salt$",
    "pbkdf2:sha256",
]


@pytest.fixture
async def passwords() -> AsyncIterator[Passwords]:
    passwords = Passwords(cost=5, threads=1)
    await passwords.start()
    yield passwords
    passwords.stop()


@pytest.fixture
def auth(sqlite_api: Api) -> Auth:
    """On SQLite only, since hashes do not depend on the database."""
    return sqlite_api.auth


async def set_hash(auth: Auth, stored: str) -> None:
    async with auth.db.begin() as tx:
        await tx.execute(update(User).where(User.username == "alice").values(password_hash=stored))


async def get_hash(auth: Auth) -> str:
    async with auth.db.read() as session:
        query = select(User.password_hash).where(User.username == "alice")
        return str((await session.scalars(query)).one())


async def sign_in(auth: Auth, password: str) -> None:
    await log_in(auth, Client(), username="alice", password=password)


@pytest.mark.parametrize("system", OF_OTHER_SYSTEMS)
async def test_sign_in_replaces_imported_hash(auth: Auth, system: str) -> None:
    await set_hash(auth, OF_OTHER_SYSTEMS[system])
    await sign_in(auth, PASSWORD)
    replaced = await get_hash(auth)
    assert replaced.startswith("$bcrypt-sha256$v=2,t=2b,r=4$")
    await sign_in(auth, PASSWORD)
    assert await get_hash(auth) == replaced


@pytest.mark.parametrize("system", OF_OTHER_SYSTEMS)
async def test_wrong_password_does_not_match_imported_hash(
    passwords: Passwords, system: str
) -> None:
    stored = OF_OTHER_SYSTEMS[system]
    assert await passwords.verify(PASSWORD, stored)
    for wrong in (PASSWORD + "x", PASSWORD[:-1], PASSWORD.upper(), ""):
        assert not await passwords.verify(wrong, stored)


@pytest.mark.parametrize("system", OF_OTHER_SYSTEMS)
async def test_unacceptable_input_does_not_match_imported_hash(
    passwords: Passwords, system: str
) -> None:
    for guess in ("nul\0inside", "half \ud800 pair", "a" * 1025, "🔑" * 1024):
        assert not await passwords.verify(guess, OF_OTHER_SYSTEMS[system])


async def test_failed_sign_in_keeps_imported_hash(auth: Auth) -> None:
    stored = OF_OTHER_SYSTEMS["Werkzeug scrypt"]
    await set_hash(auth, stored)
    with pytest.raises(InvalidCredentials):
        await sign_in(auth, "wrong")
    assert await get_hash(auth) == stored


async def test_hash_of_lower_cost_needs_rehash(passwords: Passwords) -> None:
    assert passwords.needs_rehash(bcrypt_sha256.using(rounds=4).hash(PASSWORD))
    assert not passwords.needs_rehash(bcrypt_sha256.using(rounds=5).hash(PASSWORD))


@pytest.mark.parametrize("guess", ["a" * 73, "a" * 72 + "b", "a" * 500, "a" * 1024])
async def test_plain_bcrypt_compares_72_bytes(passwords: Passwords, guess: str) -> None:
    assert await passwords.verify(guess, bcrypt.using(rounds=4).hash("a" * 72))


async def test_replaced_bcrypt_hash_compares_all_bytes(auth: Auth) -> None:
    await set_hash(auth, bcrypt.using(rounds=4).hash("é" * 36))
    await sign_in(auth, "é" * 36 + "!")
    for cut in ("é" * 36, "é" * 36 + "?"):
        with pytest.raises(InvalidCredentials):
            await sign_in(auth, cut)


@pytest.mark.parametrize("form", ["caf\u00e9 au lait", "cafe\u0301 au lait"])
async def test_imported_hash_is_verified_without_normalising(
    passwords: Passwords, form: str
) -> None:
    assert await passwords.verify(form, generate_password_hash(form, "pbkdf2:sha256:10"))


@pytest.mark.parametrize("stored", MALFORMED)
async def test_malformed_hash_matches_no_password(passwords: Passwords, stored: str) -> None:
    assert not await passwords.verify(PASSWORD, stored)
    assert not await passwords.verify("", stored)


def test_is_foreign_only_for_hashes_unknown_to_passlib() -> None:
    foreign = {system for system, stored in OF_OTHER_SYSTEMS.items() if is_foreign(stored)}
    assert foreign == {"Django scrypt", "Werkzeug scrypt", "Werkzeug pbkdf2"}
