"""The list of what may be compiled: exactly what is known to give Strawberry's own replies.

Each function answers "is this known?". Whatever is not known runs on Strawberry's own path.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType
from typing import Any, TypeVar

import strawberry
from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLError,
    GraphQLField,
    GraphQLFloat,
    GraphQLID,
    GraphQLInputType,
    GraphQLInt,
    GraphQLNonNull,
    GraphQLSchema,
    GraphQLString,
)
from strawberry.permission import BasePermission, PermissionExtension
from strawberry.schema.base import BaseSchema
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.execution import ExecutionContext
from strawberry.types.field import StrawberryField
from strawberry.types.fields.resolver import StrawberryResolver

# What subclasses of a schema may define: called while the schema is built, or not called here.
_BUILDING = {
    "__init__",
    "__str__",
    "_get_federation_query_type",
    "_prepare_schema_directives",
    "_warn_for_federation_directives",
    "as_str",
    "entities_resolver",
    "get_fields",
    "introspect",
    "process_errors",
}

# The functions as Strawberry ships them, noted before anything can replace them.
_SCHEMA = {
    name: getattr(strawberry.Schema, name)
    for cls in (BaseSchema, strawberry.Schema)
    for name, value in vars(cls).items()
    if callable(value) and name not in _BUILDING
}
_LOG_ERRORS = BaseSchema.process_errors
_GET_RESULT = StrawberryField.get_result
_CALL_RESOLVER = StrawberryResolver.__call__
_RESOLVE_PERMITTED = PermissionExtension.resolve

# The code of the functions that Strawberry makes of a field.
_CODES = {
    code.co_name: code
    for code in GraphQLCoreConverter.from_resolver.__code__.co_consts
    if hasattr(code, "co_name")
}
_BASIC, _SYNCHRONOUS = _CODES["_get_basic_result"], _CODES["_resolver"]

# Scalars whose literals mean the same each time, and whose values are immutable.
_CONSTANT_SCALARS = (GraphQLString, GraphQLID, GraphQLInt, GraphQLFloat, GraphQLBoolean)


# By identity: a mark on a function is copied by `@wraps`, and one on a class is inherited.
_CONTEXT_READERS: set[object] = set()

_Reader = TypeVar("_Reader", bound=Callable[..., Any])


def reads_only_context(reader: _Reader) -> _Reader:
    """Marks a resolver, or a permission class, that reads nothing of `info` but `context`.

    A compiled operation then passes an object that has only that: making all of `info` takes longer
    than running the resolver. Not for custom code, which may read anything.
    """
    _CONTEXT_READERS.add(reader)
    return reader


def is_context_reader(resolver: StrawberryResolver[Any]) -> bool:
    """Whether the resolver is marked as one that reads only the context."""
    return resolver.wrapped_func in _CONTEXT_READERS


def is_context_guard(permission: BasePermission) -> bool:
    """The same of a permission, unless an attribute of its own replaces a method."""
    return type(permission) in _CONTEXT_READERS and not vars(permission)


def ignore_errors(
    _schema: object,
    errors: list[GraphQLError],
    execution_context: ExecutionContext | None = None,
) -> None:
    """A `process_errors` that logs nothing."""


def logs_errors_by_itself(schema: strawberry.Schema) -> bool:
    """Whether `process_errors` is Strawberry's, which logs the document and so its secrets."""
    return _method(schema, "process_errors") is _LOG_ERRORS


def is_known_schema(schema: strawberry.Schema) -> bool:
    """Whether nothing beside graphql-core takes part in running an operation."""
    return (
        all(_method(schema, name) is function for name, function in _SCHEMA.items())
        and _method(schema, "process_errors") in {_LOG_ERRORS, ignore_errors}
        and not schema.extensions
        and not schema.directives
        and schema.execution_context_class is StrawberryGraphQLCoreExecutionContext
        and type(schema._schema) is GraphQLSchema  # noqa: SLF001 - no public name
    )


def _method(schema: strawberry.Schema, name: str) -> object:
    return vars(schema).get(name) or getattr(type(schema), name, None)


def definition_of(field: GraphQLField) -> StrawberryField | None:
    """What Strawberry made the field from."""
    definition = field.extensions.get("strawberry-definition")
    return definition if isinstance(definition, StrawberryField) else None


def known_attribute(field: GraphQLField) -> str | None:
    """The attribute that the field shows, if it is that and nothing more."""
    definition = _known_definition(field)
    if definition is None or not definition.is_basic_field:
        return None
    if definition.default_resolver is not getattr or not _is_code(field.resolve, _BASIC):
        return None
    return definition.python_name if _captured(field.resolve, "field") is definition else None


@dataclass(frozen=True, slots=True)
class KnownResolver:
    """A synchronous resolver without arguments, and the permissions around it."""

    resolver: StrawberryResolver[Any]
    # From the innermost to the outermost.
    permissions: tuple[PermissionExtension, ...]


def known_resolver(field: GraphQLField, schema: strawberry.Schema) -> KnownResolver | None:
    """The resolver of a field, if Strawberry does nothing but call it behind its permissions."""
    definition = _known_definition(field)
    if definition is None or definition.arguments or definition.is_async:
        return None
    if schema.exception_handlers or schema.config.info_class is not strawberry.Info:
        return None
    resolver = definition.base_resolver
    if type(resolver) is not StrawberryResolver or not callable(resolver.wrapped_func):
        return None
    if StrawberryResolver.__call__ is not _CALL_RESOLVER or not _is_made_of(field, definition):
        return None
    permissions = _known_permissions(field, definition)
    return None if permissions is None else KnownResolver(resolver, permissions)


def _is_made_of(field: GraphQLField, definition: StrawberryField) -> bool:
    """Whether the function that graphql-core calls is the one that Strawberry made of it."""
    if not _is_code(field.resolve, _SYNCHRONOUS):
        return False
    make_info = _captured(field.resolve, "_strawberry_info_from_graphql")
    return _captured(make_info, "field") is definition


def _known_permissions(
    field: GraphQLField, definition: StrawberryField
) -> tuple[PermissionExtension, ...] | None:
    """The permissions around the resolver; None if there is more around it."""
    if any(type(extension) is not PermissionExtension for extension in definition.extensions):
        return None
    around = _captured(field.resolve, "_get_result_with_extensions")
    functions = _captured(around, "extension_functions")
    assert isinstance(functions, list)
    if all(getattr(function, "__func__", None) is _RESOLVE_PERMITTED for function in functions):
        return tuple(function.__self__ for function in functions)
    return None


def _known_definition(field: GraphQLField) -> StrawberryField | None:
    definition = definition_of(field)
    if type(definition) is not StrawberryField or "get_result" in vars(definition):
        return None
    return definition if StrawberryField.get_result is _GET_RESULT else None


def _is_code(function: object, code: object) -> bool:
    # A wrapper may have the name and the attributes of what it wraps, and not its code.
    return isinstance(function, FunctionType) and function.__code__ is code


def _captured(function: Any, name: str) -> object:
    """What a closure holds under this name."""
    return function.__closure__[function.__code__.co_freevars.index(name)].cell_contents


def is_constant(type_: GraphQLInputType) -> bool:
    """Whether a literal of this type may be read once for all requests."""
    if isinstance(type_, GraphQLNonNull):
        type_ = type_.of_type
    return type_ in _CONSTANT_SCALARS or isinstance(type_, GraphQLEnumType)


__all__ = [
    "KnownResolver",
    "definition_of",
    "ignore_errors",
    "is_constant",
    "is_context_guard",
    "is_context_reader",
    "is_known_schema",
    "known_attribute",
    "known_resolver",
    "logs_errors_by_itself",
    "reads_only_context",
]
