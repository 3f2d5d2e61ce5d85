"""How a field gets its value; what Strawberry puts together at each call is put together once."""

from collections.abc import Callable
from functools import partial, reduce
from typing import Any

import strawberry
from graphql import GraphQLField, get_named_type, is_abstract_type
from strawberry.extensions.field_extension import build_field_extension_resolvers
from strawberry.types.field import StrawberryField

# From the object that has the field, and its `info`, to the value.
Resolve = Callable[[Any, strawberry.Info[Any, Any]], Any]


def attribute_of(field: GraphQLField) -> str | None:
    """The attribute that the field shows, if it is that and nothing more."""
    definition = definition_of(field)
    if definition is None or not definition.is_basic_field or _completion_wants_info(field):
        return None
    if definition.default_resolver is not getattr:
        return None
    return definition.python_name if getattr(field.resolve, "_is_default", False) else None


def plain_resolver(field: GraphQLField, schema: strawberry.Schema) -> Resolve | None:
    """The resolver with its extensions and permissions, if it is called without arguments."""
    definition = definition_of(field)
    if definition is None or schema.exception_handlers or _completion_wants_info(field):
        return None
    if schema.config.info_class is not strawberry.Info or definition.is_async:
        return None
    call = _call(definition)
    if call is None:
        return None
    extensions = build_field_extension_resolvers(definition)
    return reduce(lambda next_, extension: partial(extension, next_), extensions, call)


def definition_of(field: GraphQLField) -> StrawberryField | None:
    """What Strawberry made the field from."""
    definition = field.extensions.get("strawberry-definition")
    return definition if isinstance(definition, StrawberryField) else None


def _call(definition: StrawberryField) -> Resolve | None:
    """The function itself, for those who want `self`, `info`, both or neither."""
    resolver = definition.base_resolver
    if resolver is None or definition.arguments:
        return None
    info = resolver.info_parameter
    if resolver.parent_parameter or resolver.root_parameter or (info and info.name != "info"):
        return None
    match bool(resolver.self_parameter), bool(info):
        case True, True:
            return lambda source, info, **more: resolver(source, info=info, **more)
        case True, False:
            return lambda source, _info, **more: resolver(source, **more)
        case False, True:
            return lambda _source, info, **more: resolver(info=info, **more)
        case _:
            return lambda _source, _info, **more: resolver(**more)


def _completion_wants_info(field: GraphQLField) -> bool:
    type_ = get_named_type(field.type)
    return is_abstract_type(type_) or getattr(type_, "is_type_of", None) is not None
