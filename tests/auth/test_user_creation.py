"""Creation of users, by registration and by an operator: names, passwords, concurrency."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from uuid import uuid4

import pytest
from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError

from auth.audit import Action
from auth.clients import Client
from auth.errors import InvalidCredentials, Refusals, RegistrationClosed, TokenInvalid
from auth.login import log_in
from auth.permissions import Console, PermissionRegistry
from auth.records import UserRecord
from auth.registration import register
from auth.user_creation import NewUser, NewUserForm, add_user, create_user
from auth.users import find_user_by_name
from auth.viewers import get_viewer
from auth.wiring import Auth, RegistrationMode, RegistrationPolicy
from models.user import User
from tests.accounts import ALICE
from tests.api import Api

CONSOLE = Console(PermissionRegistry())
PASSWORD = "a password to begin with"


def form(
    username: str = "carol", email: str | None = "carol@example.com", password: str = PASSWORD
) -> NewUserForm:
    return NewUserForm(username, email, None, password)


def codes(refused: Refusals) -> list[str]:
    return sorted(refusal.code for refusal in refused.refusals)


async def register_all(auth: Auth, forms: Sequence[NewUserForm]) -> list[list[str]]:
    """Registers all concurrently. Returns the error codes of those that fail."""
    attempts = [register(auth, Client(), form) for form in forms]
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    lost = [outcome for outcome in outcomes if not isinstance(outcome, UserRecord)]
    assert len(lost) == len(forms) - 1
    assert all(isinstance(outcome, Refusals) for outcome in lost), lost
    return [codes(outcome) for outcome in lost if isinstance(outcome, Refusals)]


async def create(auth: Auth, form: NewUserForm) -> UserRecord:
    return await create_user(auth, CONSOLE, form, [])


async def register_user(auth: Auth, form: NewUserForm) -> UserRecord:
    user = await register(auth, Client(), form)
    assert user
    return user


USE_CASES = pytest.mark.parametrize("create_by", [register_user, create])
UseCase = Callable[[Auth, NewUserForm], Awaitable[UserRecord]]


@pytest.fixture
def sqlite(sqlite_api: Api) -> Auth:
    """SQLite only, for tests that do not depend on the database."""
    return sqlite_api.auth


async def test_registered_user_has_the_role_user(auth: Auth) -> None:
    filled = NewUserForm("Carol", "Carol@Example.com", " Ca Rol ", PASSWORD)
    user = await register_user(auth, filled)
    assert [role.name for role in user.roles] == ["user"]
    assert (user.username, user.email) == ("Carol", "Carol@example.com")
    assert (user.full_name, user.email_verified, user.disabled) == ("Ca Rol", False, False)
    assert user.permissions == frozenset()


async def test_registered_user_signs_in_by_username_or_email(auth: Auth) -> None:
    carol = await register_user(auth, form("Carol"))
    for name in ("Carol", "CAROL", "carol@example.com"):
        signed_in = await log_in(auth, Client(), username=name, password=PASSWORD)
        assert signed_in.user.id == carol.id


async def test_closed_registration_is_refused(sqlite: Auth) -> None:
    object.__setattr__(sqlite, "registration_policy", RegistrationPolicy(RegistrationMode.CLOSED))
    with pytest.raises(RegistrationClosed):
        await register(sqlite, Client(), form())
    assert await find_user_by_name(sqlite, "carol") is None


@USE_CASES
async def test_form_is_refused_with_all_its_problems(sqlite: Auth, create_by: UseCase) -> None:
    with pytest.raises(Refusals) as refused:
        await create_by(sqlite, NewUserForm("?", "nowhere", "a\0b", "short"))
    assert codes(refused.value) == [
        "EMAIL_INVALID",
        "FULL_NAME_INVALID",
        "PASSWORD_TOO_SHORT",
        "USERNAME_INVALID",
    ]


@USE_CASES
@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("", "PASSWORD_TOO_SHORT"),
        ("sevench", "PASSWORD_TOO_SHORT"),
        ("a" * 1025, "PASSWORD_TOO_LONG"),
        ("a" * 1_000_000, "PASSWORD_TOO_LONG"),
        ("nul\0in the middle", "PASSWORD_INVALID"),
        ("half \ud800 of a pair", "PASSWORD_INVALID"),
        ("password123", "PASSWORD_TOO_COMMON"),
        ("CAROL was here", "PASSWORD_TOO_PERSONAL"),
        ("mail me: cc@example.com", "PASSWORD_TOO_PERSONAL"),
    ],
)
async def test_bad_password_is_refused_with_its_reason_by_every_use_case(
    sqlite: Auth, create_by: UseCase, password: str, code: str
) -> None:
    with pytest.raises(Refusals) as refused:
        await create_by(sqlite, form(email="cc@example.com", password=password))
    assert codes(refused.value) == [code]


@pytest.mark.parametrize(
    "password",
    ["a" * 73, "b" * 1000, "€" * 1024, "🔑🚪🪄🐉🗝🏰🦉🌙", "  two  blanks  ", "caf\u00e9 au lait"],
)
async def test_password_is_compared_to_its_last_character(sqlite: Auth, password: str) -> None:
    await register(sqlite, Client(), form(password=password))
    for wrong in (password[:-1], password[:-1] + "!"):
        with pytest.raises(InvalidCredentials):
            await log_in(sqlite, Client(), username="carol", password=wrong)
    await log_in(sqlite, Client(), username="carol", password=password)


async def test_password_matches_composed_and_decomposed(sqlite: Auth) -> None:
    await register(sqlite, Client(), form(password="caf\u00e9 au lait"))
    await log_in(sqlite, Client(), username="carol", password="cafe\u0301 au lait")


async def test_spaces_around_the_username_do_not_hide_it_in_the_password(sqlite: Auth) -> None:
    with pytest.raises(Refusals) as refused:
        await register(sqlite, Client(), form(" carol ", password="carol is my name"))
    assert codes(refused.value) == ["PASSWORD_TOO_PERSONAL"]


@pytest.mark.parametrize("field", ["username", "email"])
async def test_too_long_name_is_refused_before_it_is_normalised(sqlite: Auth, field: str) -> None:
    began = time.process_time()
    # The normalisation of this text takes half a minute, because it sorts the combining marks.
    with pytest.raises(Refusals):
        await register(sqlite, Client(), form(**{field: "a" + "\u0315\u0300" * 100_000}))
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("username", "email", "taken"),
    [
        ("ALICE", "new@example.com", ["USERNAME_TAKEN"]),
        ("carol", "Alice@Example.com", ["EMAIL_TAKEN"]),
        ("alice", None, ["USERNAME_TAKEN"]),
        ("alice", "bob@example.com", ["EMAIL_TAKEN", "USERNAME_TAKEN"]),
        ("\uff41lice", "alice@example.com", ["EMAIL_TAKEN", "USERNAME_TAKEN"]),
    ],
)
async def test_taken_name_is_refused_in_every_spelling(
    auth: Auth, username: str, email: str | None, taken: list[str]
) -> None:
    with pytest.raises(Refusals) as refused:
        await register(auth, Client(), form(username, email))
    assert codes(refused.value) == taken


async def test_concurrent_registrations_of_a_username_create_one_user(auth: Auth) -> None:
    forms = [form(email=f"carol{n}@example.com") for n in range(50)]
    assert await register_all(auth, forms) == [["USERNAME_TAKEN"]] * 49


async def test_concurrent_registrations_of_an_email_create_one_user(auth: Auth) -> None:
    forms = [form(f"carol{n}") for n in range(20)]
    assert await register_all(auth, forms) == [["EMAIL_TAKEN"]] * 19


async def test_concurrent_registrations_of_spellings_create_one_user(auth: Auth) -> None:
    spellings = ["straße", "STRASSE", "\uff33trasse", "stra\u017f\u017fe"] * 5
    forms = [form(name, f"carol{n}@example.com") for n, name in enumerate(spellings)]
    assert await register_all(auth, forms) == [["USERNAME_TAKEN"]] * 19


async def test_many_users_may_have_no_email(auth: Auth) -> None:
    for name in ("carol", "dora"):
        assert (await create(auth, form(name, None))).email is None


async def test_user_without_a_password_cannot_sign_in(sqlite: Auth) -> None:
    await create(sqlite, NewUserForm("carol"))
    for guess in ("", "None", PASSWORD):
        with pytest.raises(InvalidCredentials):
            await log_in(sqlite, Client(), username="carol", password=guess)


async def test_user_is_not_created_if_a_role_is_missing(auth: Auth) -> None:
    with pytest.raises(IntegrityError):
        await add_user(
            auth,
            NewUser("carol", None, None, None),
            [uuid4()],
            Action.USER_CREATED,
            CONSOLE,
        )
    assert await find_user_by_name(auth, "carol") is None


async def test_reused_username_inherits_nothing(auth: Auth) -> None:
    old = await log_in(auth, Client(), username="alice", password=ALICE.password)
    async with auth.db.begin() as tx:
        await tx.execute(delete(User).where(User.id == old.user.id))
    new = await register_user(auth, form("alice", ALICE.email))
    assert new.id != old.user.id
    with pytest.raises(TokenInvalid):
        await get_viewer(auth, Client(), old.access_token.text)


def test_form_does_not_print_its_password() -> None:
    assert PASSWORD not in repr(form())
    assert PASSWORD not in repr(NewUser("carol", None, None, PASSWORD))
