"""Decides what may be compiled: only what is known to give the same replies as Strawberry.

Everything else runs on Strawberry.
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

# Methods that a subclass of a schema may override: they run while the schema is built, or never.
_OVERRIDABLE = {
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

# Strawberry's own functions, recorded at import, before anything can replace them.
_SCHEMA = {
    name: getattr(strawberry.Schema, name)
    for cls in (BaseSchema, strawberry.Schema)
    for name, value in vars(cls).items()
    if callable(value) and name not in _OVERRIDABLE
}
_LOG_ERRORS = BaseSchema.process_errors
_GET_RESULT = StrawberryField.get_result
_CALL_RESOLVER = StrawberryResolver.__call__
_RESOLVE_PERMITTED = PermissionExtension.resolve

# The code objects of the functions that Strawberry creates for a field.
_CODES = {
    code.co_name: code
    for code in GraphQLCoreConverter.from_resolver.__code__.co_consts
    if hasattr(code, "co_name")
}
_BASIC_CODE, _RESOLVER_CODE = _CODES["_get_basic_result"], _CODES["_resolver"]

# Scalars whose literals have the same, immutable value each time.
_CONSTANT_SCALARS = (GraphQLString, GraphQLID, GraphQLInt, GraphQLFloat, GraphQLBoolean)


# A set, because `@wraps` copies an attribute of a function, and classes inherit attributes.
_CONTEXT_READERS: set[object] = set()

_Reader = TypeVar("_Reader", bound=Callable[..., Any])


def reads_only_context(reader: _Reader) -> _Reader:
    """Marks a resolver or permission class that reads only `context` of `info`.

    A compiled operation then passes an object with `context` only, because creating the full `info`
    takes longer than running the resolver. Not for custom code, which may read anything.
    """
    _CONTEXT_READERS.add(reader)
    return reader


def is_context_reader(resolver: StrawberryResolver[Any]) -> bool:
    """Returns whether the resolver is marked with `reads_only_context`."""
    return resolver.wrapped_func in _CONTEXT_READERS


def is_context_guard(permission: BasePermission) -> bool:
    """Returns whether the class of the permission is marked, and the instance overrides nothing."""
    return type(permission) in _CONTEXT_READERS and not vars(permission)


def ignore_errors(
    _schema: object,
    errors: list[GraphQLError],
    execution_context: ExecutionContext | None = None,
) -> None:
    """A `process_errors` that logs nothing."""


def logs_errors_by_itself(schema: strawberry.Schema) -> bool:
    """Returns whether the schema uses Strawberry's `process_errors`.

    That function logs the document, which may contain secrets.
    """
    return _method(schema, "process_errors") is _LOG_ERRORS


def is_compilable_schema(schema: strawberry.Schema) -> bool:
    """Returns whether the schema runs operations with graphql-core alone."""
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
    """Returns the Strawberry field that the field was created from."""
    definition = field.extensions.get("strawberry-definition")
    return definition if isinstance(definition, StrawberryField) else None


def compilable_attribute(field: GraphQLField) -> str | None:
    """Returns the attribute that the field returns, if it does nothing else."""
    definition = _compilable_definition(field)
    if definition is None or not definition.is_basic_field:
        return None
    if definition.default_resolver is not getattr or not _is_code(field.resolve, _BASIC_CODE):
        return None
    return definition.python_name if _captured(field.resolve, "field") is definition else None


@dataclass(frozen=True, slots=True)
class CompilableResolver:
    """A synchronous resolver without arguments, and the permissions around it."""

    resolver: StrawberryResolver[Any]
    # Innermost first.
    permissions: tuple[PermissionExtension, ...]


def compilable_resolver(
    field: GraphQLField, schema: strawberry.Schema
) -> CompilableResolver | None:
    """Returns the resolver of a field, if nothing but permissions is around it."""
    definition = _compilable_definition(field)
    if definition is None or definition.arguments or definition.is_async:
        return None
    if schema.exception_handlers or schema.config.info_class is not strawberry.Info:
        return None
    resolver = definition.base_resolver
    if type(resolver) is not StrawberryResolver or not callable(resolver.wrapped_func):
        return None
    if StrawberryResolver.__call__ is not _CALL_RESOLVER or not _is_resolver_of(field, definition):
        return None
    permissions = _compilable_permissions(field, definition)
    return None if permissions is None else CompilableResolver(resolver, permissions)


def _is_resolver_of(field: GraphQLField, definition: StrawberryField) -> bool:
    """Returns whether graphql-core calls the function that Strawberry created for the field."""
    if not _is_code(field.resolve, _RESOLVER_CODE):
        return False
    make_info = _captured(field.resolve, "_strawberry_info_from_graphql")
    return _captured(make_info, "field") is definition


def _compilable_permissions(
    field: GraphQLField, definition: StrawberryField
) -> tuple[PermissionExtension, ...] | None:
    """Returns the permissions of a field; None if it has other extensions."""
    if any(type(extension) is not PermissionExtension for extension in definition.extensions):
        return None
    with_extensions = _captured(field.resolve, "_get_result_with_extensions")
    functions = _captured(with_extensions, "extension_functions")
    assert isinstance(functions, list)
    if all(getattr(function, "__func__", None) is _RESOLVE_PERMITTED for function in functions):
        return tuple(function.__self__ for function in functions)
    return None


def _compilable_definition(field: GraphQLField) -> StrawberryField | None:
    definition = definition_of(field)
    if type(definition) is not StrawberryField or "get_result" in vars(definition):
        return None
    return definition if StrawberryField.get_result is _GET_RESULT else None


def _is_code(function: object, code: object) -> bool:
    # Compared by code, because `@wraps` copies the name and the attributes.
    return isinstance(function, FunctionType) and function.__code__ is code


def _captured(function: Any, name: str) -> object:
    """Returns the variable with this name that a closure captured."""
    return function.__closure__[function.__code__.co_freevars.index(name)].cell_contents


def is_constant(type_: GraphQLInputType) -> bool:
    """Returns whether a literal of this type may be read once for all requests."""
    if isinstance(type_, GraphQLNonNull):
        type_ = type_.of_type
    return type_ in _CONSTANT_SCALARS or isinstance(type_, GraphQLEnumType)


__all__ = [
    "CompilableResolver",
    "compilable_attribute",
    "compilable_resolver",
    "definition_of",
    "ignore_errors",
    "is_compilable_schema",
    "is_constant",
    "is_context_guard",
    "is_context_reader",
    "logs_errors_by_itself",
    "reads_only_context",
]
