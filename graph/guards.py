"""Deny by default: a field that does not state who may read it keeps the server from starting.

The rules look at the built schema, at what a field can lead to, and never at the name of a type.
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

# Pages of a list. The guard of the field that returns the page covers its items.
_PAGES = (Connection, Edge, relay.Connection, relay.Edge)


class UnguardedField(Exception):
    """A field states no permission class."""


class UnknownPermission(Exception):
    """A permission class names a permission that is not registered."""


class GuardNotOutermost(Exception):
    """An extension of a field could answer before its permission classes are asked."""


def check_guards(schema: strawberry.Schema, registry: PermissionRegistry) -> None:
    """Checks each field of a built schema, and shows its permission classes in the SDL.

    Raises UnguardedField for a root field, or a field that can lead to a user, without a permission
    class; UnknownPermission for a permission that is not registered; GuardNotOutermost.
    """
    core = schema._schema  # noqa: SLF001 - Strawberry has no public name for it
    # A field that is reached in two ways is named once.
    unguarded: dict[str, None] = {}
    for place in _places(core):
        if place.field:
            _check_permissions(place.name, place.field, registry)
            _add_guarding_roles(place.field, registry)
            show_directives(place.field)
            _apply_directives(place.field)
        if not _is_guarded(core, place):
            unguarded[place.name] = None
    if unguarded:
        raise UnguardedField(
            f"{', '.join(unguarded)}: state who may read it, with"
            " permission_classes=[IsAuthenticated], [HasPermission(...)], [IsSelfOr(...)], a class"
            " of your own or, for every caller, [Public]"
        )


def show_directives(field: StrawberryField) -> None:
    """Lets the permission classes of a field show in the SDL, which Strawberry leaves out."""
    for extension in field.extensions:
        if isinstance(extension, PermissionExtension):
            extension.use_directives = True


def _apply_directives(field: StrawberryField) -> None:
    """The same for a schema that is built already."""
    for extension in field.extensions:
        if isinstance(extension, PermissionExtension):
            extension.apply(field)


def guards_of(field: StrawberryField) -> list[Guard]:
    """The permission classes of a field that are Postern's."""
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
            f"{name} requires {', '.join(sorted(unknown))}, which is not a known"
            " permission; register it: create_app(permissions={...})"
        )
    outside = ", ".join(type(extension).__name__ for extension in _outside_of_guard(field))
    if outside:
        raise GuardNotOutermost(
            f"{name}: {outside} could answer before the permission classes are asked; use"
            " permission_classes=[...], or put PermissionExtension last in extensions=[...]"
        )


def _add_guarding_roles(field: StrawberryField, registry: PermissionRegistry) -> None:
    for guard in guards_of(field):
        if guard.role:
            registry.add_guarding_role(guard.role)


def _outside_of_guard(field: StrawberryField) -> list[FieldExtension]:
    """The extensions that run around the permission classes: the last one is the outermost."""
    extensions = [extension for extension in field.extensions if extension.has_resolver]
    behind = dropwhile(lambda extension: not _is_permission(extension), extensions)
    return [extension for extension in behind if not _is_permission(extension)]


def _is_permission(extension: FieldExtension) -> bool:
    return isinstance(extension, PermissionExtension)


@dataclass(frozen=True, slots=True)
class _Place:
    """A field, and how it is reached."""

    name: str
    # None for a field that Strawberry adds by itself.
    field: StrawberryField | None
    leads_to: GraphQLNamedType
    is_root: bool
    # Whether the permission classes of the root field decide about this one as well.
    is_covered: bool


def _is_guarded(schema: GraphQLSchema, place: _Place) -> bool:
    if place.is_covered or (place.field and _permissions_of(place.field)):
        return True
    return not (place.is_root or _leads_to_a_user(schema, place.leads_to))


def _leads_to_a_user(schema: GraphQLSchema, type_: GraphQLNamedType) -> bool:
    origins = map(_origin, _object_types(schema, type_))
    return any(issubclass(origin, User) for origin in origins)


def _places(schema: GraphQLSchema) -> Iterator[_Place]:
    """The fields that operations can select, by each way that leads to them."""
    seen: set[tuple[str, bool]] = set()
    waiting = [(root, False) for root in _roots(schema)]
    while waiting:
        owner, is_covered = waiting.pop()
        if (owner.name, is_covered) in seen:
            continue
        seen.add((owner.name, is_covered))
        for place in _fields_of(owner, is_root=owner in _roots(schema), is_covered=is_covered):
            yield place
            waiting += [
                (found, _covers(place, found, is_mutation=owner is schema.mutation_type))
                for found in _object_types(schema, place.leads_to)
            ]


def _fields_of(owner: GraphQLObjectType, *, is_root: bool, is_covered: bool) -> Iterator[_Place]:
    for name, field in owner.fields.items():
        definition = field.extensions.get("strawberry-definition")
        known = definition if isinstance(definition, StrawberryField) else None
        type_ = get_named_type(field.type)
        yield _Place(f"{owner.name}.{name}", known, type_, is_root, is_covered)


def _covers(place: _Place, found: GraphQLObjectType, *, is_mutation: bool) -> bool:
    """Whether the permission classes that let a caller come here decide about the next type too.

    They do for the result of a mutation, and for the pages of a list. `Public` decides nothing.
    """
    is_page = issubclass(_origin(found), _PAGES)
    if not place.is_root:
        return place.is_covered and is_page
    permissions = _permissions_of(place.field) if place.field else []
    decides = any(not isinstance(permission, Public) for permission in permissions)
    return decides and (is_mutation or is_page)


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
