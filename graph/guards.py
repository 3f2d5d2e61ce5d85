"""Deny by default: a field that does not say who may ask for it keeps the schema from building."""

from collections.abc import Iterator, Sequence

from strawberry.permission import PermissionExtension
from strawberry.types import get_object_definition, has_object_definition
from strawberry.types.base import StrawberryContainer, StrawberryObjectDefinition
from strawberry.types.field import StrawberryField
from strawberry.types.lazy_type import LazyType
from strawberry.types.union import StrawberryUnion

from auth.policies import PermissionRegistry
from graph.permissions import Guard
from graph.users import User

# Reached only through their root field, which is guarded; Relay's and our own naming rules.
_CARRIERS = ("Payload", "Connection", "Edge")


class UnguardedField(Exception):
    """A field states no permission class."""


class UnknownPermission(Exception):
    """A permission class names a permission that is not registered."""


def prepare_guards(
    roots: Sequence[type], registry: PermissionRegistry, others: Sequence[type] = ()
) -> None:
    """Checks every field below the roots, and lets its permission classes show in the SDL.

    `others` are types that no field names, as those that only implement an interface.

    Raises UnguardedField for a root field, or a field that leads to a person, without a permission
    class; UnknownPermission for a misspelt permission.
    """
    unguarded = []
    for owner, field, is_root in _walk(roots, others):
        _show_in_sdl(field)
        guards = guards_of(field)
        unknown = {g.permission for g in guards if g.permission and g.permission not in registry}
        if unknown:
            raise UnknownPermission(
                f"{owner}.{field.name} requires {', '.join(sorted(unknown))}, which is not a known"
                " permission; register it: create_app(permissions={...})"
            )
        if not guards and (is_root or _leads_to_a_person(owner, field)):
            unguarded.append(f"{owner}.{field.name}")
    if unguarded:
        raise UnguardedField(
            f"{', '.join(unguarded)}: say who may ask, with permission_classes=[IsAuthenticated],"
            " [HasPermission(...)], [IsSelfOr(...)] or, for everybody, [Public]"
        )


def show_guards(roots: Sequence[type], others: Sequence[type]) -> None:
    """Lets the permission classes show in the SDL of a schema that is built already."""
    for _, field, _ in _walk(roots, others):
        for extension in field.extensions:
            if isinstance(extension, PermissionExtension):
                extension.apply(field)


def guards_of(field: StrawberryField) -> list[Guard]:
    """The permission classes of a field."""
    return [
        permission
        for extension in field.extensions
        if isinstance(extension, PermissionExtension)
        for permission in extension.permissions
        if isinstance(permission, Guard)
    ]


def _walk(
    roots: Sequence[type], others: Sequence[type]
) -> Iterator[tuple[str, StrawberryField, bool]]:
    seen: set[int] = set()
    waiting = [get_object_definition(found, strict=True) for found in (*others, *roots)]
    while waiting:
        definition = waiting.pop()
        if id(definition.origin) in seen:
            continue
        seen.add(id(definition.origin))
        # Also where a field leads back to it, as `query` of a payload may.
        is_root = definition.origin in roots
        for field in definition.fields:
            yield definition.name or definition.origin.__name__, field, is_root
            waiting += _object_types(field.type)


def _object_types(type_: object) -> Iterator[StrawberryObjectDefinition]:
    while isinstance(type_, StrawberryContainer):
        type_ = type_.of_type
    if isinstance(type_, LazyType):
        type_ = type_.resolve_type()
    if isinstance(type_, StrawberryUnion):
        for member in type_.types:
            yield from _object_types(member)
    elif has_object_definition(type_):
        yield get_object_definition(type_, strict=True)


def _show_in_sdl(field: StrawberryField) -> None:
    # Strawberry leaves the directives of `permission_classes` out unless it is told to.
    for extension in field.extensions:
        if isinstance(extension, PermissionExtension):
            extension.use_directives = True


def _leads_to_a_person(owner: str, field: StrawberryField) -> bool:
    if owner.endswith(_CARRIERS):
        return False
    return any(definition.origin is User for definition in _object_types(field.type))
