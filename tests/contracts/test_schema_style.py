"""How the schema reads: everything described, everything named alike."""

import re
from collections.abc import Iterator
from typing import Any

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


def test_every_element_has_a_description_that_ends_with_a_period() -> None:
    described = {name: element.description or "" for name, element in elements()}
    missing = [name for name, description in described.items() if not description.endswith(".")]
    assert missing == []


def fields_of(root: str) -> dict[str, Any]:
    return dict(SCHEMA.type_map[root].fields)  # type: ignore[attr-defined]


def test_mutations_have_at_most_one_input_and_a_payload_of_their_own() -> None:
    for mutation, field in fields_of("Mutation").items():
        name = mutation[0].upper() + mutation[1:]
        # `logoutEverywhere` shares the payload of `logout`: the one exception of the contract.
        payload = "LogoutPayload" if mutation == "logoutEverywhere" else f"{name}Payload"
        assert str(field.type).rstrip("!") == payload
        arguments = [(name, str(argument.type)) for name, argument in field.args.items()]
        assert arguments in ([], [("input", f"{name}Input!")])


def test_payloads_have_nullable_results_and_a_list_of_errors() -> None:
    for payload in (name for name in TYPES if name.endswith("Payload")):
        fields = fields_of(payload)
        assert str(fields.pop("errors").type) == "[UserError!]!"
        assert fields, payload
        assert not any(isinstance(field.type, GraphQLNonNull) for field in fields.values()), payload


def test_root_fields_that_can_be_denied_are_nullable() -> None:
    fields = fields_of("Query").items()
    strict = [name for name, field in fields if isinstance(field.type, GraphQLNonNull)]
    assert strict == []


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
