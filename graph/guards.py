"""Deny by default: a field that does not say who may ask for it keeps the schema from building."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, get_origin

from strawberry.annotation import StrawberryAnnotation
from strawberry.permission import PermissionExtension
from strawberry.types import get_object_definition, has_object_definition
from strawberry.types.base import StrawberryContainer, StrawberryObjectDefinition
from strawberry.types.field import StrawberryField
from strawberry.types.lazy_type import LazyType
from strawberry.types.union import StrawberryUnion

from auth.policies import PermissionRegistry
from graph.permissions import Guard
from graph.users import User

# What carries the result of a root field, which is guarded; Relay's and our own naming rules.
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
    # By their names: a field that is reached by two ways is told once.
    unguarded: dict[str, None] = {}
    for place in _walk(roots, others):
        _show_in_sdl(place.field)
        guards = guards_of(place.field)
        unknown = {g.permission for g in guards if g.permission and g.permission not in registry}
        if unknown:
            raise UnknownPermission(
                f"{place.name} requires {', '.join(sorted(unknown))}, which is not a known"
                " permission; register it: create_app(permissions={...})"
            )
        if not guards and (place.is_root or _leads_to_a_person(place)):
            unguarded[place.name] = None
    if unguarded:
        raise UnguardedField(
            f"{', '.join(unguarded)}: say who may ask, with permission_classes=[IsAuthenticated],"
            " [HasPermission(...)], [IsSelfOr(...)] or, for everybody, [Public]"
        )


def show_guards(roots: Sequence[type], others: Sequence[type]) -> None:
    """Lets the permission classes show in the SDL of a schema that is built already."""
    fields = {id(place.field): place.field for place in _walk(roots, others)}
    for field in fields.values():
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


@dataclass(frozen=True, slots=True)
class _Place:
    """A field, and how it is reached."""

    owner: str
    field: StrawberryField
    is_root: bool
    # From a guarded root field, by nothing but what carries its result.
    is_carried: bool

    @property
    def name(self) -> str:
        """As the SDL has it."""
        return f"{self.owner}.{self.field.name}"

    @property
    def carries(self) -> bool:
        """Whether what the field leads to is guarded by the root field as well."""
        if self.is_root:
            return bool(guards_of(self.field))
        return self.is_carried and self.owner.endswith(_CARRIERS)


def _walk(roots: Sequence[type], others: Sequence[type]) -> Iterator[_Place]:
    """Every field below the roots, by each way that leads there; then those that none leads to."""
    seen: set[tuple[type, bool]] = set()
    yield from _walk_from(roots, roots, seen)
    reached = {origin for origin, _ in seen}
    yield from _walk_from([other for other in others if other not in reached], roots, seen)


def _walk_from(
    beginnings: Sequence[type], roots: Sequence[type], seen: set[tuple[type, bool]]
) -> Iterator[_Place]:
    waiting = [(get_object_definition(found, strict=True), False) for found in beginnings]
    while waiting:
        definition, is_carried = waiting.pop()
        if (definition.origin, is_carried) in seen:
            continue
        seen.add((definition.origin, is_carried))
        # Also where a field leads back to it, as `query` of a payload may.
        is_root = definition.origin in roots
        for field in definition.fields:
            owner = definition.name or definition.origin.__name__
            place = _Place(owner, field, is_root, is_carried)
            yield place
            waiting += [(found, place.carries) for found in _object_types(field.type)]


def _object_types(type_: object) -> Iterator[StrawberryObjectDefinition]:
    while isinstance(type_, StrawberryContainer):
        type_ = type_.of_type
    if isinstance(type_, LazyType):
        type_ = type_.resolve_type()
    if get_origin(type_) is Annotated:
        # A union that was named in another module.
        type_ = StrawberryAnnotation(type_).resolve()
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


def _leads_to_a_person(place: _Place) -> bool:
    if place.is_carried and place.owner.endswith(_CARRIERS):
        return False
    return any(issubclass(found.origin, User) for found in _object_types(place.field.type))
