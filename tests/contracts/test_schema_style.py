"""How the schema reads: everything described, everything named alike."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    build_schema,
    is_introspection_type,
    is_specified_directive,
    is_specified_scalar_type,
)

from auth.permissions import PermissionRegistry
from graph import schema as own

SCHEMA = build_schema(own.build_schema(PermissionRegistry()).as_str())
TYPES = {
    name: type_
    for name, type_ in SCHEMA.type_map.items()
    if not is_introspection_type(type_) and not is_specified_scalar_type(type_)
}


def elements() -> Iterator[tuple[str, Any]]:
    """Everything that a frontend can point at."""
    for directive in SCHEMA.directives:
        if not is_specified_directive(directive):
            yield f"@{directive.name}", directive
            yield from ((f"@{directive.name}.{n}", a) for n, a in directive.args.items())
    for name, type_ in TYPES.items():
        yield name, type_
        if isinstance(type_, GraphQLEnumType):
            yield from ((f"{name}.{n}", value) for n, value in type_.values.items())
        if isinstance(type_, GraphQLObjectType | GraphQLInputObjectType):
            for field_name, field in type_.fields.items():
                yield f"{name}.{field_name}", field
                for argument_name, argument in getattr(field, "args", {}).items():
                    yield f"{name}.{field_name}({argument_name})", argument


@pytest.mark.parametrize(("name", "element"), list(elements()))
def test_everything_is_described_in_a_sentence(name: str, element: Any) -> None:
    assert element.description, f"{name} has no description"
    assert element.description.endswith("."), f"{name}: {element.description}"


def fields_of(root: str) -> dict[str, Any]:
    return dict(SCHEMA.type_map[root].fields)  # type: ignore[attr-defined]


@pytest.mark.parametrize("mutation", fields_of("Mutation"))
def test_a_mutation_has_one_input_and_one_payload(mutation: str) -> None:
    field = fields_of("Mutation")[mutation]
    name = mutation[0].upper() + mutation[1:]
    # `logoutEverywhere` shares the payload of `logout`: the one exception of the contract.
    payload = "LogoutPayload" if mutation == "logoutEverywhere" else f"{name}Payload"
    assert str(field.type).rstrip("!") == payload
    assert [(n, str(a.type)) for n, a in field.args.items()] in ([], [("input", f"{name}Input!")])


@pytest.mark.parametrize("payload", [name for name in TYPES if name.endswith("Payload")])
def test_a_payload_has_nullable_results_and_a_list_of_errors(payload: str) -> None:
    fields = dict(SCHEMA.type_map[payload].fields)  # type: ignore[attr-defined]
    assert str(fields.pop("errors").type) == "[UserError!]!"
    assert fields
    assert not any(isinstance(field.type, GraphQLNonNull) for field in fields.values())


@pytest.mark.parametrize("query", fields_of("Query"))
def test_a_root_field_that_may_be_denied_is_nullable(query: str) -> None:
    assert not isinstance(fields_of("Query")[query].type, GraphQLNonNull)


def test_names_have_no_abbreviations_and_no_prefixes() -> None:
    for name, type_ in TYPES.items():
        assert re.fullmatch(r"[A-Z][A-Za-z]+", name)
        for field in getattr(type_, "fields", {}):
            assert re.fullmatch(r"[a-z][A-Za-z]+", field)
            assert not re.match(r"is[A-Z]|get[A-Z]", field)
        for value in getattr(type_, "values", {}):
            assert re.fullmatch(r"[A-Z]+(_[A-Z]+)*", value)


def test_lists_hold_no_nulls() -> None:
    for type_ in TYPES.values():
        for field in getattr(type_, "fields", {}).values():
            inner = field.type.of_type if isinstance(field.type, GraphQLNonNull) else field.type
            if isinstance(inner, GraphQLList):
                assert isinstance(inner.of_type, GraphQLNonNull)
