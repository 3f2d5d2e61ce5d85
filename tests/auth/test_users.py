"""What operators do with accounts, and what nobody can do."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import pytest

from auth.accounts import register
from auth.errors import (
    EmailTaken,
    Forbidden,
    LastAdmin,
    Refusal,
    Refusals,
    RegistrationClosed,
    RoleNotFound,
    UsernameTaken,
    UserNotFound,
)
from auth.new_users import NewUserForm
from auth.pages import Page
from auth.policies import Console, PermissionRegistry
from auth.records import UserRecord
from auth.roles import find_roles_by_name, list_roles
from auth.users import (
    UserFilter,
    create_user,
    disable_user,
    enable_user,
    find_user,
    find_user_by_name,
    list_users,
    set_user_roles,
)
from auth.wiring import Auth, RegistrationPolicy

CONSOLE = Console(PermissionRegistry())
PASSWORD = "a password to begin with"


@dataclass
class Operator:
    """Somebody with exactly these permissions."""

    permissions: frozenset[str]
    user_id: UUID | None = field(default_factory=uuid4)


def operator(*permissions: str) -> Operator:
    return Operator(frozenset(permissions))


async def named(auth: Auth, username: str) -> UserRecord:
    user = await find_user_by_name(auth, username)
    assert user is not None
    return user


async def role_ids(auth: Auth, *names: str) -> list[UUID]:
    return [role.id for role in await find_roles_by_name(auth, names)]


async def all_names(auth: Auth, page: Page, **filters: object) -> list[str]:
    found = await list_users(auth, CONSOLE, page=page, filters=UserFilter(**filters))  # type: ignore[arg-type]
    return [user.username for user in found.users]


def codes_of(outcomes: Sequence[object]) -> list[str]:
    return sorted(
        refusal.code
        for outcome in outcomes
        if isinstance(outcome, Refusals)
        for refusal in outcome.refusals
    )


async def test_registering_gives_the_role_user(auth: Auth) -> None:
    user = await register(auth, NewUserForm("Carol", "carol@example.com", None, PASSWORD))
    assert [role.name for role in user.roles] == ["user"]
    assert user.username == "Carol"


async def test_a_closed_registration_is_closed(auth: Auth) -> None:
    object.__setattr__(auth, "registration_policy", RegistrationPolicy(open=False))
    with pytest.raises(RegistrationClosed):
        await register(auth, NewUserForm("carol", "carol@example.com", None, PASSWORD))


async def test_every_fault_of_a_form_is_told_at_once(auth: Auth) -> None:
    with pytest.raises(Refusals) as refused:
        await register(auth, NewUserForm("?", "nowhere", "a\0b", "short"))
    assert codes_of([refused.value]) == [
        "EMAIL_INVALID",
        "FULL_NAME_INVALID",
        "PASSWORD_TOO_SHORT",
        "USERNAME_INVALID",
    ]


@pytest.mark.parametrize(
    ("username", "email", "taken"),
    [
        ("ALICE", "new@example.com", ["USERNAME_TAKEN"]),
        ("carol", "Alice@Example.com", ["EMAIL_TAKEN"]),
        ("\uff41lice", "alice@example.com", ["EMAIL_TAKEN", "USERNAME_TAKEN"]),
    ],
)
async def test_a_name_is_taken_in_every_spelling(
    auth: Auth, username: str, email: str, taken: list[str]
) -> None:
    with pytest.raises(Refusals) as refused:
        await register(auth, NewUserForm(username, email, None, PASSWORD))
    assert codes_of([refused.value]) == taken


async def test_of_twenty_who_register_a_name_at_once_one_gets_it(auth: Auth) -> None:
    forms = [NewUserForm("carol", f"carol{n}@example.com", None, PASSWORD) for n in range(20)]
    outcomes = await asyncio.gather(
        *(register(auth, form) for form in forms), return_exceptions=True
    )
    assert sum(isinstance(outcome, UserRecord) for outcome in outcomes) == 1
    told = [o for o in outcomes if not isinstance(o, UserRecord)]
    assert all(isinstance(o, Refusals | Refusal) for o in told)
    assert set(codes_of(told)) <= {UsernameTaken.code, EmailTaken.code}


async def test_an_operator_creates_an_account_with_roles(auth: Auth) -> None:
    form = NewUserForm("dora", password=PASSWORD)
    user = await create_user(auth, CONSOLE, form, await role_ids(auth, "support", "user"))
    assert [role.name for role in user.roles] == ["support", "user"]
    assert user.permissions == {"users:read", "sessions:revoke"}


async def test_nobody_gives_more_than_they_have(auth: Auth) -> None:
    clerk = operator("users:write", "roles:write", "users:read")
    ids = await role_ids(auth, "support")
    with pytest.raises(Forbidden) as denied:
        await create_user(auth, clerk, NewUserForm("dora"), ids)
    assert denied.value.required == "sessions:revoke"
    with pytest.raises(Forbidden):
        await set_user_roles(auth, clerk, (await named(auth, "alice")).id, ids)


async def test_nobody_takes_from_the_more_powerful(auth: Auth) -> None:
    clerk = operator("users:write", "roles:write")
    sophie = await named(auth, "sophie")
    for act in (
        set_user_roles(auth, clerk, sophie.id, []),
        disable_user(auth, clerk, sophie.id),
        enable_user(auth, clerk, sophie.id),
    ):
        with pytest.raises(Forbidden):
            await act


async def test_every_act_asks_for_its_permission(auth: Auth) -> None:
    nobody, alice = operator(), await named(auth, "alice")
    acts = [
        list_users(auth, nobody, page=Page(1), filters=UserFilter()),
        list_roles(auth, nobody),
        find_user(auth, nobody, alice.id),
        create_user(auth, nobody, NewUserForm("dora"), []),
        create_user(auth, operator("users:write"), NewUserForm("dora"), [uuid4()]),
        set_user_roles(auth, nobody, alice.id, []),
        disable_user(auth, nobody, alice.id),
        enable_user(auth, nobody, alice.id),
    ]
    for outcome in await asyncio.gather(*acts, return_exceptions=True):
        assert isinstance(outcome, Forbidden)


async def test_everybody_may_look_themselves_up(auth: Auth) -> None:
    alice = await named(auth, "alice")
    assert await find_user(auth, Operator(frozenset(), alice.id), alice.id) == alice


async def test_what_is_not_there_is_told(auth: Auth) -> None:
    alice = await named(auth, "alice")
    with pytest.raises(UserNotFound):
        await disable_user(auth, CONSOLE, uuid4())
    with pytest.raises(RoleNotFound):
        await set_user_roles(auth, CONSOLE, alice.id, [uuid4()])
    with pytest.raises(RoleNotFound):
        await find_roles_by_name(auth, ["king"])
    assert await find_user(auth, CONSOLE, uuid4()) is None


async def test_the_last_administrator_stays_one(auth: Auth) -> None:
    admin = await named(auth, "admin")
    with pytest.raises(LastAdmin):
        await disable_user(auth, CONSOLE, admin.id)
    with pytest.raises(LastAdmin):
        await set_user_roles(auth, CONSOLE, admin.id, await role_ids(auth, "user"))


async def test_a_disabled_administrator_does_not_count(auth: Auth) -> None:
    admin, alice = await named(auth, "admin"), await named(auth, "alice")
    await set_user_roles(auth, CONSOLE, alice.id, await role_ids(auth, "admin"))
    await disable_user(auth, CONSOLE, alice.id)
    with pytest.raises(LastAdmin):
        await disable_user(auth, CONSOLE, admin.id)
    await set_user_roles(auth, CONSOLE, alice.id, [])


async def test_of_two_administrators_demoted_at_once_one_stays(auth: Auth) -> None:
    admin, alice = await named(auth, "admin"), await named(auth, "alice")
    await set_user_roles(auth, CONSOLE, alice.id, await role_ids(auth, "admin"))
    outcomes = await asyncio.gather(
        set_user_roles(auth, CONSOLE, admin.id, []),
        disable_user(auth, CONSOLE, alice.id),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, LastAdmin) for outcome in outcomes) == 1


async def test_disabling_twice_and_enabling_are_harmless(auth: Auth) -> None:
    alice = await named(auth, "alice")
    for _ in range(2):
        assert (await disable_user(auth, CONSOLE, alice.id)).disabled
    assert not (await enable_user(auth, CONSOLE, alice.id)).disabled


async def test_pages_forwards_see_everybody_once_newest_first(auth: Auth) -> None:
    seen: list[str] = []
    after = None
    while True:
        page = Page(limit=2, after=after)
        found = await list_users(auth, CONSOLE, page=page, filters=UserFilter())
        seen += [user.username for user in found.users]
        if not found.has_next:
            break
        after = found.users[-1].id
    assert seen == ["audrey", "sophie", "admin", "bob", "alice"]


async def test_pages_backwards_are_the_same_pages(auth: Auth) -> None:
    last = await list_users(auth, CONSOLE, page=Page(2, backwards=True), filters=UserFilter())
    assert [user.username for user in last.users] == ["bob", "alice"]
    assert (last.has_previous, last.has_next) == (True, False)
    page = Page(limit=3, before=last.users[0].id, backwards=True)
    first = await list_users(auth, CONSOLE, page=page, filters=UserFilter())
    assert [user.username for user in first.users] == ["audrey", "sophie", "admin"]
    assert (first.has_previous, first.has_next) == (False, True)


async def test_somebody_who_registers_meanwhile_moves_nobody(auth: Auth) -> None:
    first = await list_users(auth, CONSOLE, page=Page(2), filters=UserFilter())
    await register(auth, NewUserForm("carol", "carol@example.com", None, PASSWORD))
    names = await all_names(auth, Page(limit=2, after=first.users[-1].id))
    assert names == ["admin", "bob"]


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("a", ["audrey", "admin", "alice"]),
        ("AL", ["alice"]),
        ("alice@ex", ["alice"]),
        ("%", []),
        ("a%", []),
        ("_lice", []),
        ("nul\0", []),
        ("half \ud800", []),
        ("lice", []),
    ],
)
async def test_a_search_is_for_the_beginning_to_the_letter(
    auth: Auth, search: str, found: list[str]
) -> None:
    assert await all_names(auth, Page(limit=10), search=search) == found


async def test_the_list_can_be_filtered(auth: Auth) -> None:
    await disable_user(auth, CONSOLE, (await named(auth, "bob")).id)
    assert await all_names(auth, Page(10), disabled=True) == ["bob"]
    assert "bob" not in await all_names(auth, Page(10), disabled=False)
    assert await all_names(auth, Page(10), role="user") == ["bob", "alice"]
    assert await all_names(auth, Page(10), role="user", disabled=True, search="b") == ["bob"]
    for nothing in ("king", "nul\0", "half \ud800"):
        assert await all_names(auth, Page(10), role=nothing) == []


async def test_pages_of_a_role_go_on_where_they_stopped(auth: Auth) -> None:
    first = await list_users(auth, CONSOLE, page=Page(1), filters=UserFilter(role="user"))
    assert first.has_next
    assert await all_names(auth, Page(1, after=first.users[0].id), role="user") == ["alice"]


def test_own_permissions_must_look_like_ours() -> None:
    for bad in ("notes", "Notes:read", "notes:", "a:b:c", "x" * 70 + ":y"):
        with pytest.raises(ValueError, match="resource:action"):
            PermissionRegistry({bad: "?"})
    assert "notes:read" in PermissionRegistry({"notes:read": "Read."})


def test_a_permission_that_is_gone_is_not_granted() -> None:
    assert PermissionRegistry().expand(["users:read", "gone:now"]) == {"users:read"}
