"""Checks of a custom schema at startup."""

from pathlib import Path
from typing import Annotated

import pytest
import strawberry
from fastapi import FastAPI

from examples import own_schema
from graph.guards import UnguardedField, UnknownPermission
from postern import HasPermission, Public, User, create_app, require_viewer
from server.settings import ConfigurationError, Settings, Switch
from tests.conftest import make_settings

NOTES = "/notes/graphql"


@pytest.fixture
def settings(sqlite_url: str, tmp_path: Path) -> Settings:
    return make_settings(sqlite_url, tmp_path)


@strawberry.type
class Bell:
    """A query type with a public field."""

    @strawberry.field(permission_classes=[Public])
    def bell(self) -> str:
        return "Ding."


def start(settings: Settings, schema: strawberry.Schema, path: str = NOTES) -> FastAPI:
    return create_app(settings, schemas={path: schema}, permissions=own_schema.PERMISSIONS)


def test_unguarded_root_field_prevents_startup(settings: Settings) -> None:
    @strawberry.type
    class Query:
        @strawberry.field
        def secret(self) -> str:
            return "The key is under the mat."

    with pytest.raises(UnguardedField, match=r"Query\.secret: no permission class"):
        start(settings, strawberry.Schema(Query))


def test_unguarded_mutation_prevents_startup(settings: Settings) -> None:
    @strawberry.type
    class Mutation:
        @strawberry.mutation
        def ring(self) -> str:
            return "Ding."

    with pytest.raises(UnguardedField, match=r"Mutation\.ring"):
        start(settings, strawberry.Schema(Bell, Mutation))


@strawberry.type
class Person(User):
    """A type that contains a user under another name."""


@strawberry.type
class Stone:
    weight: int


Party = Annotated[User | Stone, strawberry.union("Party")]


@strawberry.type
class LetterEdge:
    """Named like a payload type, but it is not one."""

    sender: User | None


@strawberry.type
class Letter:
    edge: LetterEdge | None


@strawberry.type
class LetterOfPerson:
    sender: Person | None


@strawberry.type
class LetterOfParty:
    sender: Annotated["Party", strawberry.lazy("tests.examples.test_custom_schema_guards")] | None


@pytest.mark.parametrize(
    ("letter", "field"),
    [
        (LetterOfPerson, "LetterOfPerson.sender"),
        (LetterOfParty, "LetterOfParty.sender"),
        (Letter, "LetterEdge.sender"),
    ],
)
def test_unguarded_field_that_leads_to_user_is_found(
    settings: Settings, letter: type, field: str
) -> None:
    @strawberry.type
    class Query:
        @strawberry.field(permission_classes=[Public], graphql_type=letter | None)
        def mail(self) -> None:
            return None

    with pytest.raises(UnguardedField, match=field):
        start(settings, strawberry.Schema(Query))


def test_unguarded_field_that_leads_to_user_prevents_startup(settings: Settings) -> None:
    @strawberry.type
    class Letter:
        sender: User | None

    @strawberry.type
    class Query:
        @strawberry.field(permission_classes=[Public])
        def letter(self) -> Letter | None:
            return None

    with pytest.raises(UnguardedField, match=r"Letter\.sender"):
        start(settings, strawberry.Schema(Query))


def test_root_type_in_a_payload_is_checked(settings: Settings) -> None:
    @strawberry.type
    class Query:
        @strawberry.field
        def secret(self) -> str:
            return "The key is under the mat."

    @strawberry.type
    class RingPayload:
        query: Query | None

    @strawberry.type
    class Mutation:
        @strawberry.mutation(permission_classes=[Public])
        def ring(self) -> RingPayload:
            return RingPayload(query=Query())

    with pytest.raises(UnguardedField, match=r"Query\.secret"):
        start(settings, strawberry.Schema(Query, Mutation))


def test_type_reached_through_an_interface_is_checked(settings: Settings) -> None:
    @strawberry.interface
    class Thing:
        weight: int

    @strawberry.type
    class Letter(Thing):
        sender: User | None

    @strawberry.type
    class Query:
        @strawberry.field(permission_classes=[Public])
        def thing(self) -> Thing | None:
            return None

    with pytest.raises(UnguardedField, match=r"Letter\.sender"):
        start(settings, strawberry.Schema(Query, types=[Letter]))


def test_unknown_permission_prevents_startup(settings: Settings) -> None:
    @strawberry.type
    class Query:
        @strawberry.field(permission_classes=[HasPermission("notes:burn")])
        def ashes(self) -> str | None:
            return None

    with pytest.raises(UnknownPermission, match="notes:burn"):
        start(settings, strawberry.Schema(Query))
    with pytest.raises(UnknownPermission, match="notes:burn"):
        require_viewer(start(settings, own_schema.SCHEMA), "notes:burn")


@pytest.mark.parametrize("path", ["/graphql", "notes", "/", "/notes/", "/{any}"])
def test_invalid_path_prevents_startup(settings: Settings, path: str) -> None:
    with pytest.raises(ConfigurationError, match="the path of a custom schema must look like"):
        start(settings, strawberry.Schema(Bell), path)


def test_trusted_documents_only_with_a_custom_schema_prevents_startup(
    settings: Settings, tmp_path: Path
) -> None:
    manifest = tmp_path / "documents.json"
    manifest.write_text("{}")
    update = {"trusted_documents": manifest, "trusted_documents_only": Switch.ON}
    only = settings.model_copy(update=update)
    with pytest.raises(ConfigurationError, match="no manifest"):
        start(only, strawberry.Schema(Bell))


def test_schema_shows_the_required_permissions(settings: Settings) -> None:
    schema = strawberry.Schema(Bell)
    for _ in range(2):
        start(settings, schema)
        assert "bell: String! @public\n" in schema.as_str()


@pytest.mark.parametrize(
    "path", ["/graphql", "/token", "/healthz", "/notes", "/../graphql", "notes/graphql"]
)
def test_path_of_postern_is_refused(settings: Settings, path: str) -> None:
    with pytest.raises(ConfigurationError, match="must look like"):
        start(settings, strawberry.Schema(Bell), path)
