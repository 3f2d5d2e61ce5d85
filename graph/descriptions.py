"""Descriptions of the schema: the docstring of a class or resolver is its GraphQL description.

Strawberry ignores docstrings. An explicit `description=` takes precedence over the docstring.
"""

import inspect
import re
from typing import Any

import strawberry
from graphql import (
    GraphQLDirective,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLNamedType,
    GraphQLObjectType,
    get_named_type,
    is_interface_type,
    is_introspection_type,
    is_object_type,
)
from strawberry.schema_directive import StrawberrySchemaDirective
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.enum import StrawberryEnumDefinition
from strawberry.types.field import StrawberryField

# `PageInfo` is Strawberry's class, so that Strawberry's connections fit in the same schema.
_PAGE_INFO = "The position of a page in its list."
_PAGE_INFO_FIELDS = {
    "hasNextPage": "True if more items follow.",
    "hasPreviousPage": "True if there are items before this page.",
    "startCursor": "Cursor of the first item; null on an empty page.",
    "endCursor": "Cursor of the last item; null on an empty page.",
}
# A line of a list, table, quotation or code block.
_STRUCTURE = re.compile(r"^(?:[ \t]|[-*+>#|] |\d+[.)] |```)", re.MULTILINE)


def add_descriptions(schema: strawberry.Schema) -> None:
    """Describes what has no description in a built schema.

    A type or directive gets the docstring of its class, a field that of its resolver, an argument
    the description of its input type.
    """
    core = schema._schema  # noqa: SLF001 - Strawberry has no public name for it
    types = [type_ for type_ in core.type_map.values() if not is_introspection_type(type_)]
    for type_ in types:
        type_.description = type_.description or _docstring(_class_of(type_))
    for type_ in types:
        if is_object_type(type_) or is_interface_type(type_):
            for field in type_.fields.values():
                _describe_field(field)
    for directive in core.directives:
        _describe_directive(directive)


def describe_page_info(schema: strawberry.Schema) -> None:
    """Replaces Strawberry's descriptions of `PageInfo`."""
    page_info = schema._schema.type_map["PageInfo"]  # noqa: SLF001
    assert isinstance(page_info, GraphQLObjectType)
    page_info.description = _PAGE_INFO
    for name, field in page_info.fields.items():
        field.description = _PAGE_INFO_FIELDS[name]


def _class_of(type_: GraphQLNamedType) -> type | None:
    definition = type_.extensions.get("strawberry-definition")
    if isinstance(definition, StrawberryEnumDefinition):
        return definition.wrapped_cls
    if not isinstance(definition, StrawberryObjectDefinition):
        return None
    # A concrete class of a generic type is made by Strawberry and has no docstring.
    while isinstance(definition.concrete_of, StrawberryObjectDefinition):
        definition = definition.concrete_of
    return definition.origin


def _describe_field(field: GraphQLField) -> None:
    definition = field.extensions.get("strawberry-definition")
    if isinstance(definition, StrawberryField) and definition.base_resolver:
        function: Any = definition.base_resolver.wrapped_func
        field.description = field.description or _docstring(inspect.unwrap(function))
    for argument in field.args.values():
        input_type = get_named_type(argument.type)
        if isinstance(input_type, GraphQLInputObjectType):
            argument.description = argument.description or input_type.description


def _describe_directive(directive: GraphQLDirective) -> None:
    definition = directive.extensions.get("strawberry-definition")
    if isinstance(definition, StrawberrySchemaDirective):
        directive.description = directive.description or _docstring(definition.origin)
        # Strawberry reads the descriptions of the arguments and does not pass them on.
        for field, argument in zip(definition.fields, directive.args.values(), strict=True):
            argument.description = argument.description or field.description


def _docstring(thing: Any) -> str | None:
    """Returns the docstring: prose as one paragraph, Markdown with structure as written."""
    if not (inspect.isclass(thing) or inspect.isfunction(thing)) or not thing.__doc__:
        return None
    # The signature that `dataclass` writes where a class has no docstring.
    if inspect.isclass(thing) and thing.__doc__.startswith(f"{thing.__name__}("):
        return None
    text = inspect.cleandoc(thing.__doc__)
    return text if _STRUCTURE.search(text) else " ".join(text.split())
