"""Permission classes: who passes, how that shows in the schema, and that none may be forgotten."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import pytest
import strawberry
from strawberry.extensions import FieldExtension
from strawberry.permission import BasePermission, PermissionExtension

from auth.permissions import PermissionRegistry
from graph.guards import GuardNotOutermost, UnguardedField, UnknownPermission
from graph.schema import DuplicateField, build_schema
from postern import HasPermission, HasRole, IsAuthenticated, IsSelfOr, Public, User
from tests.accounts import ADMIN, ALICE, SUPPORT, Account
from tests.api import Api, serving
from tests.clock import ManualClock
from tests.conftest import make_settings

REGISTRY = PermissionRegistry({"notes:read": "Read."})


@strawberry.type
class Doors:
    """A root field behind each permission class."""

    @strawberry.field(permission_classes=[Public])
    def open(self) -> bool | None:
        return True

    @strawberry.field(permission_classes=[IsAuthenticated])
    def known(self) -> bool | None:
        return True

    @strawberry.field(permission_classes=[HasPermission("sessions:revoke")])
    def helpers(self) -> bool | None:
        return True

    @strawberry.field(permission_classes=[HasRole("admin")])
    def admins(self) -> bool | None:
        return True

    @strawberry.field(permission_classes=[HasRole("user"), HasPermission("users:read")])
    def both(self) -> bool | None:
        return True


@pytest.fixture
async def api(sqlite_url: str, tmp_path: Path, clock: ManualClock) -> AsyncIterator[Api]:
    async with serving(make_settings(sqlite_url, tmp_path), clock, queries=[Doors]) as api:
        yield api


@pytest.mark.parametrize(
    ("account", "passes"),
    [
        (None, {"open"}),
        (ALICE, {"open", "known"}),
        (SUPPORT, {"open", "known", "helpers"}),
        (ADMIN, {"open", "known", "helpers", "admins"}),
    ],
)
async def test_each_door_opens_to_whom_it_says(
    api: Api, account: Account | None, passes: set[str]
) -> None:
    token = await api.log_in(account) if account else None
    result = await api.ask("{ open known helpers admins both }", token=token)
    assert {name for name, value in result["data"].items() if value} == passes


async def test_a_denial_says_what_it_takes(api: Api) -> None:
    result = await api.ask("{ admins helpers }", token=await api.log_in(ALICE))
    required = [error["extensions"]["required"] for error in result["errors"]]
    assert required == ["role admin", "sessions:revoke"]


async def test_everybody_reads_their_own_account_and_nobody_elses(api: Api) -> None:
    admin = await api.log_in(ADMIN)
    alice, other = await api.id_of(ALICE, admin=admin), await api.id_of(ADMIN, admin=admin)
    query = "query ($a: ID!, $b: ID!) { own: user(id: $a) { id } other: user(id: $b) { id } }"
    variables = {"a": alice, "b": other}
    result = await api.ask(query, variables, token=await api.log_in(ALICE))
    assert result["data"] == {"own": {"id": alice}, "other": None}
    assert (await api.data(query, variables, token=admin))["other"] == {"id": other}


@pytest.mark.parametrize(
    ("field", "directive"),
    [
        ("open", "@public"),
        ("known", "@authenticated"),
        ("helpers", '@requires(permission: "sessions:revoke")'),
        ("admins", '@requiresRole(role: "admin")'),
        ("both", '@requires(permission: "users:read") @requiresRole(role: "user")'),
    ],
)
def test_the_schema_shows_what_a_field_takes(field: str, directive: str) -> None:
    sdl = build_schema(REGISTRY, queries=[Doors]).as_str()
    line = next(line for line in sdl.splitlines() if line.strip().startswith(f"{field}:"))
    for part in directive.split(" @"):
        assert part.removeprefix("@") in line


def test_two_schemas_of_one_process_are_alike() -> None:
    one, other = (build_schema(REGISTRY, queries=[Doors]).as_str() for _ in range(2))
    assert one == other


def test_a_root_field_that_says_nothing_keeps_the_schema_from_building() -> None:
    @strawberry.type
    class Own:
        @strawberry.field
        def notes(self) -> str | None:
            return None

        @strawberry.field
        def letters(self) -> str | None:
            return None

    with pytest.raises(UnguardedField, match=r"Query\.notes, Query\.letters: no permission class"):
        build_schema(REGISTRY, queries=[Own])


def test_a_mutation_is_not_forgotten_either() -> None:
    @strawberry.type
    class Own:
        @strawberry.mutation
        def burn(self) -> str | None:
            return None

    with pytest.raises(UnguardedField, match=r"Mutation\.burn"):
        build_schema(REGISTRY, mutations=[Own])


def test_a_way_to_a_person_says_who_may_go_it() -> None:
    @strawberry.type
    class Note:
        author: User | None

    @strawberry.type
    class Own:
        @strawberry.field(permission_classes=[Public])
        def notes(self) -> list[Note] | None:
            return None

    with pytest.raises(UnguardedField, match=r"Note\.author"):
        build_schema(REGISTRY, queries=[Own])


def test_a_guarded_way_to_a_person_builds() -> None:
    @strawberry.type
    class Letter:
        author: User | None = strawberry.field(permission_classes=[IsSelfOr("users:read")])

    @strawberry.type
    class Parcel:
        weight: int

    Thing = Annotated[Letter | Parcel, strawberry.union("Thing")]  # noqa: N806 - a type

    @strawberry.type
    class Own:
        @strawberry.field(permission_classes=[Public])
        def things(self) -> list[Thing] | None:
            return None

    sdl = build_schema(REGISTRY, queries=[Own]).as_str()
    assert 'author: User @requiresSelfOr(permission: "users:read")' in sdl


@strawberry.interface
class Person:
    """Something that a user can be, under another name."""

    nickname: str


@strawberry.type
class Member(User, Person):
    """A user behind an interface."""


@strawberry.type
class MemberPayload:
    """Named like the result of a mutation."""

    member: Member | None


@strawberry.type
class MemberConnection:
    """Named like a page of a list."""

    nodes: list[Member]


@strawberry.type
class Boat:
    """Leads to a user in every way there is."""

    owner: Person | None = None
    payload: MemberPayload | None = None
    connection: MemberConnection | None = None


@strawberry.type
class Harbor:
    @strawberry.field(permission_classes=[Public])
    def boats(self) -> list[Boat] | None:
        return None

    @strawberry.field(permission_classes=[IsAuthenticated])
    def member(self) -> Member | None:
        return None


def test_way_to_a_user_through_an_interface_or_any_name_must_be_guarded() -> None:
    with pytest.raises(UnguardedField) as caught:
        build_schema(REGISTRY, queries=[Harbor])
    named = str(caught.value).partition(":")[0]
    expected = {"Boat.owner", "MemberPayload.member", "MemberConnection.nodes"}
    assert set(named.split(", ")) == expected


def test_guard_of_a_query_does_not_cover_a_type_that_is_named_like_a_page() -> None:
    @strawberry.type
    class Crew:
        @strawberry.field(permission_classes=[IsAuthenticated])
        def members(self) -> MemberConnection | None:
            return None

    with pytest.raises(UnguardedField, match=r"MemberConnection\.nodes"):
        build_schema(REGISTRY, queries=[Crew])


@strawberry.type
class MooredBoat:
    owner: User | None = None


def mooring(permission: Any) -> Any:
    """A mutation behind this permission class, whose result leads to a user."""

    @strawberry.type
    class Mooring:
        @strawberry.mutation(permission_classes=[permission])
        def moor(self) -> MooredBoat | None:
            return None

    return Mooring


def test_guard_of_a_mutation_covers_its_result() -> None:
    assert build_schema(REGISTRY, mutations=[mooring(IsAuthenticated)])


def test_public_mutation_covers_nothing() -> None:
    with pytest.raises(UnguardedField, match=r"MooredBoat\.owner"):
        build_schema(REGISTRY, mutations=[mooring(Public)])


class Caching(FieldExtension):
    """Answers without asking what it stands around."""

    def resolve(self, next_: Any, source: Any, info: Any, **kwargs: Any) -> Any:
        return 1


def test_extension_around_the_guard_keeps_the_schema_from_building() -> None:
    @strawberry.type
    class Own:
        @strawberry.field(extensions=[PermissionExtension([IsAuthenticated()]), Caching()])
        def notes(self) -> int | None:
            return None

    with pytest.raises(GuardNotOutermost, match=r"Query\.notes: Caching runs before"):
        build_schema(REGISTRY, queries=[Own])


async def test_extension_inside_the_guard_runs_behind_it(
    sqlite_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    @strawberry.type
    class Own:
        @strawberry.field(permission_classes=[IsAuthenticated], extensions=[Caching()])
        def notes(self) -> int | None:
            return None

    async with serving(make_settings(sqlite_url, tmp_path), clock, queries=[Own]) as api:
        assert (await api.ask("{ notes }"))["data"] == {"notes": None}
        assert await api.data("{ notes }", token=await api.log_in(ALICE)) == {"notes": 1}


class OnSundays(BasePermission):
    """A permission class of Strawberry's kind."""

    message = "Only on Sundays."

    async def has_permission(self, source: Any, info: Any, **kwargs: Any) -> bool:
        return True


@pytest.mark.parametrize("classes", [[OnSundays], [IsAuthenticated, OnSundays]])
def test_permission_class_of_strawberry_states_who_may_read(classes: list[Any]) -> None:
    @strawberry.type
    class Own:
        @strawberry.field(permission_classes=classes)
        def notes(self) -> int | None:
            return None

    assert "@onSundays" in build_schema(REGISTRY, queries=[Own]).as_str()


@pytest.mark.parametrize(("kind", "name"), [("queries", "me"), ("mutations", "logoutEverywhere")])
def test_root_field_with_a_name_of_postern_keeps_the_schema_from_building(
    kind: str, name: str
) -> None:
    @strawberry.type
    class Own:
        @strawberry.field(name=name, permission_classes=[Public])
        def mine(self) -> int | None:
            return None

    with pytest.raises(DuplicateField, match=f"{name} is a field of both graph"):
        build_schema(REGISTRY, **{kind: [Own]})


def test_root_field_that_two_custom_types_have_keeps_the_schema_from_building() -> None:
    @strawberry.type
    class One:
        @strawberry.field(permission_classes=[Public])
        def last_note(self) -> int | None:
            return None

    @strawberry.type
    class Other:
        @strawberry.field(name="lastNote", permission_classes=[Public])
        def note(self) -> int | None:
            return None

    with pytest.raises(DuplicateField, match=r"Query\.lastNote"):
        build_schema(REGISTRY, queries=[One, Other])


def test_a_misspelt_permission_is_noticed() -> None:
    @strawberry.type
    class Own:
        @strawberry.field(permission_classes=[HasPermission("notes:raed")])
        def notes(self) -> str | None:
            return None

    with pytest.raises(UnknownPermission, match="notes:raed"):
        build_schema(REGISTRY, queries=[Own])


def test_the_same_permission_is_the_same_class() -> None:
    assert HasPermission("users:read") is HasPermission("users:read")
