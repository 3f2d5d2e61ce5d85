"""Docstrings as the descriptions of the schema."""

from enum import Enum

import strawberry

from auth.permissions import PermissionRegistry
from graph.permissions import Public
from graph.schema import build_schema, check_custom_schema


@strawberry.enum
class Rig(Enum):
    """How a boat is driven."""

    SAIL = "sail"


@strawberry.input
class MoorInput:
    """The boat to moor,
    and its berth."""

    berth: int


@strawberry.type
class Boat:
    """A boat.

    * It floats.
    """

    rig: Rig


@strawberry.type
class Buoy:
    number: int


@strawberry.type(description="The explicit description.")
class Lighthouse:
    """The docstring."""

    height: int


@strawberry.type
class Harbor:
    @strawberry.field(permission_classes=[Public])
    def boat(self, input: MoorInput) -> Boat | None:
        """The boat at a berth.

        Null if the berth is free.
        """

    @strawberry.field(permission_classes=[Public], description="The explicit description.")
    def lighthouse(self) -> Lighthouse | None:
        """The docstring."""

    @strawberry.field(permission_classes=[Public])
    def buoy(self) -> Buoy | None:
        return None


SCHEMA = build_schema(PermissionRegistry({}), queries=[Harbor])
TYPES = SCHEMA._schema.type_map
FIELDS = SCHEMA._schema.query_type.fields  # type: ignore[union-attr]


def test_class_docstring_describes_type() -> None:
    assert TYPES["Rig"].description == "How a boat is driven."
    assert TYPES["MoorInput"].description == "The boat to moor, and its berth."


def test_resolver_docstring_describes_field_in_one_paragraph() -> None:
    assert FIELDS["boat"].description == "The boat at a berth. Null if the berth is free."


def test_docstring_with_list_keeps_its_lines() -> None:
    assert TYPES["Boat"].description == "A boat.\n\n* It floats."


def test_argument_has_description_of_its_input_type() -> None:
    assert FIELDS["boat"].args["input"].description == "The boat to moor, and its berth."


def test_explicit_description_takes_precedence() -> None:
    assert TYPES["Lighthouse"].description == "The explicit description."
    assert FIELDS["lighthouse"].description == "The explicit description."


def test_type_and_field_without_docstring_have_no_description() -> None:
    assert TYPES["Buoy"].description is None
    assert FIELDS["buoy"].description is None


def test_custom_schema_gets_descriptions() -> None:
    schema = strawberry.Schema(Harbor)
    check_custom_schema(schema, PermissionRegistry({}))
    assert '"""The boat to moor, and its berth."""' in schema.as_str()


def test_descriptions_show_in_introspection() -> None:
    result = SCHEMA.execute_sync('{ __type(name: "Rig") { description } }')
    assert result.data == {"__type": {"description": "How a boat is driven."}}
