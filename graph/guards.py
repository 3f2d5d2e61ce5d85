"""Deny by default: the server does not start if a field has no permission class.

The checks use the built schema and the Python classes of its types, never the names of types.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import dropwhile

import strawberry
from graphql import (
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    is_abstract_type,
    is_object_type,
)
from strawberry import relay
from strawberry.extensions import FieldExtension
from strawberry.permission import BasePermission, PermissionExtension
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.field import StrawberryField

from auth.permissions import PermissionRegistry
from graph.connections import Connection, Edge
from graph.permissions import Guard, Public
from graph.users import User

# Pages of a list. The permission classes of the field that returns the page cover its items.
_PAGES = (Connection, Edge, relay.Connection, relay.Edge)


class UnguardedField(Exception):
    """A field has no permission class."""


class UnknownPermission(Exception):
    """A permission class names a permission that is not registered."""


class GuardNotOutermost(Exception):
    """An extension of a field runs before its permission classes."""


def check_guards(schema: strawberry.Schema, registry: PermissionRegistry) -> None:
    """Checks the fields of a built schema, and adds their permission classes to the SDL.

    Raises UnguardedField for a root field, or a field that can lead to a user, without a permission
    class; UnknownPermission for a permission that is not registered; GuardNotOutermost.
    """
    core = schema._schema  # noqa: SLF001 - Strawberry has no public name for it
    # The keys are in order, and name a field once that is reached in two ways.
    unguarded: dict[str, None] = {}
    for reached in _reachable_fields(core):
        if reached.field:
            _check_permissions(reached.name, reached.field, registry)
            _add_guarding_roles(reached.field, registry)
            show_directives(reached.field)
            _apply_directives(reached.field)
        if not _is_guarded(core, reached):
            unguarded[reached.name] = None
    if unguarded:
        raise UnguardedField(
            f"{', '.join(unguarded)}: no permission class. Add permission_classes="
            "[IsAuthenticated], [HasPermission(...)], [IsSelfOr(...)], a custom class or, to allow"
            " all callers, [Public]."
        )


def show_directives(field: StrawberryField) -> None:
    """Makes Strawberry show the permission classes of a field in the SDL."""
    for extension in field.extensions:
        if isinstance(extension, PermissionExtension):
            extension.use_directives = True


def _apply_directives(field: StrawberryField) -> None:
    """Adds the directives to a field of a schema that is already built."""
    for extension in field.extensions:
        if isinstance(extension, PermissionExtension):
            extension.apply(field)


def guards_of(field: StrawberryField) -> list[Guard]:
    """Returns the permission classes of a field that are subclasses of Guard."""
    return [permission for permission in _permissions_of(field) if isinstance(permission, Guard)]


def _permissions_of(field: StrawberryField) -> list[BasePermission]:
    return [
        permission
        for extension in field.extensions
        if isinstance(extension, PermissionExtension)
        for permission in extension.permissions
    ]


def _check_permissions(name: str, field: StrawberryField, registry: PermissionRegistry) -> None:
    unknown = {
        g.permission for g in guards_of(field) if g.permission and g.permission not in registry
    }
    if unknown:
        raise UnknownPermission(
            f"{name}: unknown permission {', '.join(sorted(unknown))}. Register it with"
            " create_app(permissions={...})."
        )
    outer = ", ".join(type(extension).__name__ for extension in _outer_extensions(field))
    if outer:
        raise GuardNotOutermost(
            f"{name}: {outer} runs before the permission classes. Use permission_classes=[...], or"
            " put PermissionExtension last in extensions=[...]."
        )


def _add_guarding_roles(field: StrawberryField, registry: PermissionRegistry) -> None:
    for guard in guards_of(field):
        if guard.role:
            registry.add_guarding_role(guard.role)


def _outer_extensions(field: StrawberryField) -> list[FieldExtension]:
    """Returns the extensions around the permission classes; the last extension is the outermost."""
    extensions = [extension for extension in field.extensions if extension.has_resolver]
    later = dropwhile(lambda extension: not _is_permission(extension), extensions)
    return [extension for extension in later if not _is_permission(extension)]


def _is_permission(extension: FieldExtension) -> bool:
    return isinstance(extension, PermissionExtension)


@dataclass(frozen=True, slots=True)
class _ReachedField:
    """A field, and one way that leads to it."""

    name: str
    # None for a field that Strawberry adds.
    field: StrawberryField | None
    leads_to: GraphQLNamedType
    is_root: bool
    # True if the permission classes of the root field protect this field too.
    is_covered: bool


def _is_guarded(schema: GraphQLSchema, reached: _ReachedField) -> bool:
    if reached.is_covered or (reached.field and _permissions_of(reached.field)):
        return True
    return not (reached.is_root or _leads_to_user(schema, reached.leads_to))


def _leads_to_user(schema: GraphQLSchema, type_: GraphQLNamedType) -> bool:
    origins = map(_origin, _object_types(schema, type_))
    return any(issubclass(origin, User) for origin in origins)


def _reachable_fields(schema: GraphQLSchema) -> Iterator[_ReachedField]:
    """Yields the fields that operations can select, once for each way that leads to them."""
    seen: set[tuple[str, bool]] = set()
    waiting = [(root, False) for root in _roots(schema)]
    while waiting:
        owner, is_covered = waiting.pop()
        if (owner.name, is_covered) in seen:
            continue
        seen.add((owner.name, is_covered))
        for reached in _fields_of(owner, is_root=owner in _roots(schema), is_covered=is_covered):
            yield reached
            waiting += [
                (found, _covers(reached, found, is_mutation=owner is schema.mutation_type))
                for found in _object_types(schema, reached.leads_to)
            ]


def _fields_of(
    owner: GraphQLObjectType, *, is_root: bool, is_covered: bool
) -> Iterator[_ReachedField]:
    for name, field in owner.fields.items():
        definition = field.extensions.get("strawberry-definition")
        own = definition if isinstance(definition, StrawberryField) else None
        type_ = get_named_type(field.type)
        yield _ReachedField(f"{owner.name}.{name}", own, type_, is_root, is_covered)


def _covers(reached: _ReachedField, found: GraphQLObjectType, *, is_mutation: bool) -> bool:
    """Returns whether the permission classes of a field protect the fields of its type too.

    They protect the result of a mutation and the pages of a list. `Public` protects nothing.
    """
    is_page = issubclass(_origin(found), _PAGES)
    if not reached.is_root:
        return reached.is_covered and is_page
    permissions = _permissions_of(reached.field) if reached.field else []
    protected = any(not isinstance(permission, Public) for permission in permissions)
    return protected and (is_mutation or is_page)


def _roots(schema: GraphQLSchema) -> list[GraphQLObjectType]:
    roots = (schema.query_type, schema.mutation_type, schema.subscription_type)
    return [root for root in roots if root is not None]


def _object_types(schema: GraphQLSchema, type_: GraphQLNamedType) -> list[GraphQLObjectType]:
    if is_abstract_type(type_):
        return schema.get_possible_types(type_)
    return [type_] if is_object_type(type_) else []


def _origin(type_: GraphQLObjectType) -> type:
    definition = type_.extensions.get("strawberry-definition")
    return definition.origin if isinstance(definition, StrawberryObjectDefinition) else object
