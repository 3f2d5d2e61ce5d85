"""New accounts: who may have one, under which name, and with which password."""

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
    """Registers all at once; returns the codes that the losers are told."""
    attempts = [register(auth, Client(), form) for form in forms]
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    lost = [outcome for outcome in outcomes if not isinstance(outcome, UserRecord)]
    assert len(lost) == len(forms) - 1
    assert all(isinstance(outcome, Refusals) for outcome in lost), lost
    return [codes(outcome) for outcome in lost if isinstance(outcome, Refusals)]


async def create(auth: Auth, form: NewUserForm) -> UserRecord:
    return await create_user(auth, CONSOLE, form, [])


async def register_oneself(auth: Auth, form: NewUserForm) -> UserRecord:
    user = await register(auth, Client(), form)
    assert user
    return user


ENTRANCES = pytest.mark.parametrize("entrance", [register_oneself, create])
Entrance = Callable[[Auth, NewUserForm], Awaitable[UserRecord]]


@pytest.fixture
def sqlite(sqlite_api: Api) -> Auth:
    """For what does not depend on the database."""
    return sqlite_api.auth


async def test_registering_gives_the_role_user(auth: Auth) -> None:
    filled = NewUserForm("Carol", "Carol@Example.com", " Ca Rol ", PASSWORD)
    user = await register_oneself(auth, filled)
    assert [role.name for role in user.roles] == ["user"]
    assert (user.username, user.email) == ("Carol", "Carol@example.com")
    assert (user.full_name, user.email_verified, user.disabled) == ("Ca Rol", False, False)
    assert user.permissions == frozenset()


async def test_who_registered_logs_in_by_name_or_address(auth: Auth) -> None:
    carol = await register_oneself(auth, form("Carol"))
    for name in ("Carol", "CAROL", "carol@example.com"):
        signed_in = await log_in(auth, Client(), username=name, password=PASSWORD)
        assert signed_in.user.id == carol.id


async def test_a_closed_registration_is_closed(sqlite: Auth) -> None:
    object.__setattr__(sqlite, "registration_policy", RegistrationPolicy(RegistrationMode.CLOSED))
    with pytest.raises(RegistrationClosed):
        await register(sqlite, Client(), form())
    assert await find_user_by_name(sqlite, "carol") is None


@ENTRANCES
async def test_every_fault_of_a_form_is_told_at_once(sqlite: Auth, entrance: Entrance) -> None:
    with pytest.raises(Refusals) as refused:
        await entrance(sqlite, NewUserForm("?", "nowhere", "a\0b", "short"))
    assert codes(refused.value) == [
        "EMAIL_INVALID",
        "FULL_NAME_INVALID",
        "PASSWORD_TOO_SHORT",
        "USERNAME_INVALID",
    ]


@ENTRANCES
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
async def test_a_bad_password_is_refused_with_its_reason_at_every_entrance(
    sqlite: Auth, entrance: Entrance, password: str, code: str
) -> None:
    with pytest.raises(Refusals) as refused:
        await entrance(sqlite, form(email="cc@example.com", password=password))
    assert codes(refused.value) == [code]


@pytest.mark.parametrize(
    "password",
    ["a" * 73, "b" * 1000, "€" * 1024, "🔑🚪🪄🐉🗝🏰🦉🌙", "  two  blanks  ", "caf\u00e9 au lait"],
)
async def test_a_registered_password_counts_to_its_last_character(
    sqlite: Auth, password: str
) -> None:
    await register(sqlite, Client(), form(password=password))
    for wrong in (password[:-1], password[:-1] + "!"):
        with pytest.raises(InvalidCredentials):
            await log_in(sqlite, Client(), username="carol", password=wrong)
    await log_in(sqlite, Client(), username="carol", password=password)


async def test_a_password_may_be_typed_composed_or_decomposed(sqlite: Auth) -> None:
    await register(sqlite, Client(), form(password="caf\u00e9 au lait"))
    await log_in(sqlite, Client(), username="carol", password="cafe\u0301 au lait")


async def test_blanks_around_a_name_do_not_hide_it_in_the_password(sqlite: Auth) -> None:
    with pytest.raises(Refusals) as refused:
        await register(sqlite, Client(), form(" carol ", password="carol is my name"))
    assert codes(refused.value) == ["PASSWORD_TOO_PERSONAL"]


@pytest.mark.parametrize("field", ["username", "email"])
async def test_a_hostile_name_is_refused_before_it_is_normalised(sqlite: Auth, field: str) -> None:
    began = time.process_time()
    # Normalising this takes half a minute: its marks are sorted one by one.
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
async def test_a_name_is_taken_in_every_spelling(
    auth: Auth, username: str, email: str | None, taken: list[str]
) -> None:
    with pytest.raises(Refusals) as refused:
        await register(auth, Client(), form(username, email))
    assert codes(refused.value) == taken


async def test_of_fifty_who_register_a_name_at_once_one_gets_it(auth: Auth) -> None:
    forms = [form(email=f"carol{n}@example.com") for n in range(50)]
    assert await register_all(auth, forms) == [["USERNAME_TAKEN"]] * 49


async def test_of_twenty_who_register_an_address_at_once_one_gets_it(auth: Auth) -> None:
    forms = [form(f"carol{n}") for n in range(20)]
    assert await register_all(auth, forms) == [["EMAIL_TAKEN"]] * 19


async def test_of_twenty_spellings_of_a_name_at_once_one_gets_it(auth: Auth) -> None:
    spellings = ["straße", "STRASSE", "\uff33trasse", "stra\u017f\u017fe"] * 5
    forms = [form(name, f"carol{n}@example.com") for n, name in enumerate(spellings)]
    assert await register_all(auth, forms) == [["USERNAME_TAKEN"]] * 19


async def test_any_number_of_accounts_have_no_address(auth: Auth) -> None:
    for name in ("carol", "dora"):
        assert (await create(auth, form(name, None))).email is None


async def test_an_account_without_a_password_opens_to_none(sqlite: Auth) -> None:
    await create(sqlite, NewUserForm("carol"))
    for guess in ("", "None", PASSWORD):
        with pytest.raises(InvalidCredentials):
            await log_in(sqlite, Client(), username="carol", password=guess)


async def test_an_account_is_written_whole_or_not_at_all(auth: Auth) -> None:
    with pytest.raises(IntegrityError):
        await add_user(
            auth,
            NewUser("carol", None, None, None),
            [uuid4()],
            Action.USER_CREATED,
            CONSOLE,
        )
    assert await find_user_by_name(auth, "carol") is None


async def test_a_name_that_is_registered_again_inherits_nothing(auth: Auth) -> None:
    old = await log_in(auth, Client(), username="alice", password=ALICE.password)
    async with auth.db.begin() as tx:
        await tx.execute(delete(User).where(User.id == old.user.id))
    new = await register_oneself(auth, form("alice", ALICE.email))
    assert new.id != old.user.id
    with pytest.raises(TokenInvalid):
        await get_viewer(auth, Client(), old.access_token.text)


def test_a_form_does_not_print_its_password() -> None:
    assert PASSWORD not in repr(form())
    assert PASSWORD not in repr(NewUser("carol", None, None, PASSWORD))
