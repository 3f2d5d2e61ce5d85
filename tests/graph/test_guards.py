"""Guards: which schemas are refused because a field has no permission class."""

from pathlib import Path
from typing import Annotated, Any

import pytest
import strawberry
from strawberry.extensions import FieldExtension
from strawberry.permission import BasePermission, PermissionExtension

from auth.permissions import PermissionRegistry
from graph.guards import GuardNotOutermost, UnguardedField, UnknownPermission
from graph.schema import build_schema
from postern import HasPermission, IsAuthenticated, IsSelfOr, Public, User
from tests.accounts import ALICE
from tests.api import serving
from tests.clock import ManualClock
from tests.conftest import make_settings

REGISTRY = PermissionRegistry({"notes:read": "Read."})


def test_root_field_without_permission_class_is_refused() -> None:
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


def test_mutation_without_permission_class_is_refused() -> None:
    @strawberry.type
    class Own:
        @strawberry.mutation
        def burn(self) -> str | None:
            return None

    with pytest.raises(UnguardedField, match=r"Mutation\.burn"):
        build_schema(REGISTRY, mutations=[Own])


def test_field_that_leads_to_user_without_permission_class_is_refused() -> None:
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


def test_field_that_leads_to_user_with_permission_class_is_accepted() -> None:
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
    """An interface of a type that is a user."""

    nickname: str


@strawberry.type
class Member(User, Person):
    """A user behind an interface."""


@strawberry.type
class MemberPayload:
    """A type that is only named like the result of a mutation."""

    member: Member | None


@strawberry.type
class MemberConnection:
    """A type that is only named like a page of a list."""

    nodes: list[Member]


@strawberry.type
class Boat:
    """Leads to a user through an interface, a payload and a connection."""

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


def test_interface_payload_and_connection_that_lead_to_user_are_refused() -> None:
    with pytest.raises(UnguardedField) as caught:
        build_schema(REGISTRY, queries=[Harbor])
    named = str(caught.value).partition(":")[0]
    expected = {"Boat.owner", "MemberPayload.member", "MemberConnection.nodes"}
    assert set(named.split(", ")) == expected


def test_query_does_not_cover_type_that_is_only_named_like_a_page() -> None:
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


def mutation_with(permission: Any) -> Any:
    """A mutation with this permission class, whose result leads to a user."""

    @strawberry.type
    class Mooring:
        @strawberry.mutation(permission_classes=[permission])
        def moor(self) -> MooredBoat | None:
            return None

    return Mooring


def test_permission_class_of_mutation_covers_its_result() -> None:
    assert build_schema(REGISTRY, mutations=[mutation_with(IsAuthenticated)])


def test_public_mutation_does_not_cover_its_result() -> None:
    with pytest.raises(UnguardedField, match=r"MooredBoat\.owner"):
        build_schema(REGISTRY, mutations=[mutation_with(Public)])


class Caching(FieldExtension):
    """Returns a value without calling the next resolver."""

    def resolve(self, next_: Any, source: Any, info: Any, **kwargs: Any) -> Any:
        return 1


def test_extension_around_permission_classes_is_refused() -> None:
    @strawberry.type
    class Own:
        @strawberry.field(extensions=[PermissionExtension([IsAuthenticated()]), Caching()])
        def notes(self) -> int | None:
            return None

    with pytest.raises(GuardNotOutermost, match=r"Query\.notes: Caching runs before"):
        build_schema(REGISTRY, queries=[Own])


async def test_extension_inside_permission_classes_runs_after_them(
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
    """A permission class of Strawberry."""

    message = "Only on Sundays."

    async def has_permission(self, source: Any, info: Any, **kwargs: Any) -> bool:
        return True


@pytest.mark.parametrize("classes", [[OnSundays], [IsAuthenticated, OnSundays]])
def test_permission_class_of_strawberry_is_accepted(classes: list[Any]) -> None:
    @strawberry.type
    class Own:
        @strawberry.field(permission_classes=classes)
        def notes(self) -> int | None:
            return None

    assert "@onSundays" in build_schema(REGISTRY, queries=[Own]).as_str()


def test_unknown_permission_is_refused() -> None:
    @strawberry.type
    class Own:
        @strawberry.field(permission_classes=[HasPermission("notes:raed")])
        def notes(self) -> str | None:
            return None

    with pytest.raises(UnknownPermission, match="notes:raed"):
        build_schema(REGISTRY, queries=[Own])
