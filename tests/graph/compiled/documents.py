"""Generates random valid operations for any schema."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    OperationType,
    Undefined,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
)

# The number of sets of variables per operation.
VALUES = 2
MAX_DEPTH = 5

# Values by the name of the argument or input field, otherwise of the scalar.
Pools = Mapping[str, Sequence[Any]]
_ABSENT = object()
_CONDITION = GraphQLNonNull(GraphQLBoolean)


@dataclass(frozen=True, slots=True)
class Request:
    """A document, the name of the operation to run, and sets of variables."""

    text: str
    name: str | None
    variables: list[dict[str, Any]]


@dataclass(slots=True)
class _Variable:
    name: str
    declared: str
    values: list[Any]


@dataclass(slots=True)
class Writer:
    """Generates one document from `random`."""

    schema: GraphQLSchema
    random: Random
    pools: Pools
    # Fields of root types to choose from; all by default.
    root_fields: Mapping[str, Collection[str]] = field(default_factory=dict)
    # The approximate number of fields.
    room: int = 25
    # The probability of a variable with an invalid value.
    misfits: float = 0.01
    # The probability of introspection, which is not compiled.
    introspection: float = 0.01

    _variables: dict[str, list[_Variable]] = field(default_factory=dict)
    _count: int = 0
    _keys: dict[tuple[str, str, str], str] = field(default_factory=dict)
    _fragments: list[tuple[str, GraphQLNamedType, str]] = field(default_factory=list)

    def request(self, operation: OperationType = OperationType.QUERY) -> Request:
        """Returns a document, and an operation of this type in it."""
        root = self.schema.get_root_type(operation)
        assert root
        body = self._selection(root, 0)
        name = self.random.choice(["", "Asked"])
        definitions = [f"{operation.value} {name}{self._declarations()}{body}"]
        definitions += [f"fragment {f} on {on.name} {body}" for f, on, body in self._fragments]
        if name and self._happens(0.1):
            definitions.append("query Other { __typename }")
        self.random.shuffle(definitions)
        return Request("\n".join(definitions), name or None, self._values())

    def _happens(self, probability: float) -> bool:
        return self.random.random() < probability

    # Selections

    def _selection(self, on: GraphQLNamedType, depth: int) -> str:
        parts = [self._selected(on, depth) for _ in range(self.random.randint(1, 4))]
        return "{ " + " ".join(parts) + " }"

    def _selected(self, on: GraphQLNamedType, depth: int) -> str:
        abstract = is_abstract_type(on)
        writers: list[Callable[[GraphQLNamedType, int], str]] = [
            *[self._field] * (0 if isinstance(on, GraphQLUnionType) else 12),
            *[self._inline_fragment, self._spread] * (8 if abstract else 1),
            self._typename,
        ]
        write = self.random.choice(writers)
        return write(on, depth)

    def _typename(self, _on: GraphQLNamedType, _depth: int) -> str:
        return self.random.choice(["", "type: "]) + "__typename" + self._directives()

    def _inline_fragment(self, on: GraphQLNamedType, depth: int) -> str:
        if depth > MAX_DEPTH:
            return "__typename"
        if self._happens(0.2):
            return f"...{self._directives()} {self._selection(on, depth + 1)}"
        type_ = self._related(on)
        return f"... on {type_.name}{self._directives()} {self._selection(type_, depth + 1)}"

    def _spread(self, on: GraphQLNamedType, depth: int) -> str:
        if depth > MAX_DEPTH:
            return "__typename"
        known = [name for name, type_, _ in self._fragments if self._overlap(on, type_)]
        if known and self._happens(0.5):
            return f"...{self.random.choice(known)}{self._directives()}"
        type_ = self._related(on)
        body = self._selection(type_, depth + 1)
        name = f"F{len(self._fragments)}"
        self._fragments.append((name, type_, body))
        return f"...{name}{self._directives()}"

    def _related(self, on: GraphQLNamedType) -> GraphQLNamedType:
        """Returns a type that overlaps with this type."""
        types = [
            type_
            for name, type_ in self.schema.type_map.items()
            if not name.startswith("__") and self._overlap(on, type_)
        ]
        return self.random.choice(types)

    def _overlap(self, one: GraphQLNamedType, other: GraphQLNamedType) -> bool:
        return bool(self._objects(one) & self._objects(other))

    def _objects(self, type_: GraphQLNamedType) -> set[str]:
        if is_abstract_type(type_):
            return {possible.name for possible in self.schema.get_possible_types(type_)}
        return {type_.name} if isinstance(type_, GraphQLObjectType) else set()

    # Fields

    def _field(self, on: GraphQLNamedType, depth: int) -> str:
        self.room -= 1
        if depth == 0 and on is self.schema.query_type and self._happens(self.introspection):
            return '__type(name: "Query") { name fields { name } }'
        name, definition = self._chosen_field(on, depth)
        arguments = self._arguments(definition.args)
        written = self._key(name, definition, arguments) + arguments + self._directives()
        named = get_named_type(definition.type)
        if is_leaf_type(named):
            return written
        deep = depth > MAX_DEPTH or self.room <= 0
        return f"{written} {'{ __typename }' if deep else self._selection(named, depth + 1)}"

    def _chosen_field(self, on: Any, depth: int) -> tuple[str, GraphQLField]:
        names = list(self.root_fields.get(on.name, on.fields))
        if depth > MAX_DEPTH or self.room <= 0:
            leaves = [n for n in names if is_leaf_type(get_named_type(on.fields[n].type))]
            names = leaves or names
        name = self.random.choice(names)
        return name, on.fields[name]

    def _key(self, name: str, definition: GraphQLField, arguments: str) -> str:
        """Returns the name, with an alias if fields with the same key could not be merged."""
        free = name if all(key != name for key in self._keys.values()) else f"k{len(self._keys)}"
        key = self._keys.setdefault((name, str(definition.type), arguments), free)
        if self._happens(0.2):
            key += "_again"
        return name if key == name else f"{key}: {name}"

    def _directives(self) -> str:
        written = ""
        for name in ("skip", "include"):
            if self._happens(0.06):
                condition = self._value(_CONDITION, name, constant=False)
                written += f" @{name}(if: {condition})"
        return written

    # Arguments

    def _arguments(self, arguments: Mapping[str, GraphQLArgument]) -> str:
        parts = [
            f"{name}: {self._argument(name, argument)}"
            for name, argument in arguments.items()
            if _is_required(argument) or self._happens(0.6)
        ]
        return f"({', '.join(parts)})" if parts else ""

    def _argument(self, name: str, argument: GraphQLArgument) -> str:
        if self._happens(0.4):
            return self._variable(argument.type, name, has_default=_has_default(argument))
        return self._value(argument.type, name, constant=False)

    def _value(self, type_: GraphQLInputType, name: str, *, constant: bool) -> str:
        """Returns a literal, which may contain variables unless it must be constant."""
        if not constant and self._happens(0.15):
            return self._variable(type_, name, has_default=False)
        if isinstance(type_, GraphQLNonNull):
            return self._present(type_.of_type, name, constant=constant)
        if self._happens(0.2):
            return "null"
        return self._present(type_, name, constant=constant)

    def _present(self, type_: GraphQLInputType, name: str, *, constant: bool) -> str:
        match type_:
            case GraphQLList(of_type=inner):
                return self._list(inner, name, constant=constant)
            case GraphQLEnumType(values=values):
                return str(self.random.choice(list(values)))
            case GraphQLInputObjectType():
                return self._object(type_, constant=constant)
            case _:
                return _literal(self.random.choice(self._pool(type_, name)))

    def _list(self, inner: GraphQLInputType, name: str, *, constant: bool) -> str:
        if self._happens(0.15) and isinstance(inner, GraphQLNonNull):
            # A single item is coerced to a list.
            return self._present(inner.of_type, name, constant=constant)
        items = [
            self._value(inner, name, constant=constant) for _ in range(self.random.randint(0, 3))
        ]
        return f"[{', '.join(items)}]"

    def _object(self, type_: GraphQLInputObjectType, *, constant: bool) -> str:
        parts = []
        for name, part in self._chosen_parts(type_):
            wanted: Any = part.type
            if _is_one_of(type_):
                wanted = GraphQLNonNull(wanted)
            parts.append(f"{name}: {self._value(wanted, name, constant=constant)}")
        return "{" + ", ".join(parts) + "}"

    def _chosen_parts(
        self, type_: GraphQLInputObjectType
    ) -> Sequence[tuple[str, GraphQLInputField]]:
        parts = list(type_.fields.items())
        if _is_one_of(type_):
            return [self.random.choice(parts)]
        return [(n, part) for n, part in parts if _is_required(part) or self._happens(0.5)]

    def _pool(self, type_: Any, name: str) -> Sequence[Any]:
        return self.pools.get(name) or self.pools[type_.name]

    # Variables

    def _variable(self, type_: GraphQLInputType, name: str, *, has_default: bool) -> str:
        place = f"{type_} {has_default}"
        known = self._variables.setdefault(place, [])
        if known and self._happens(0.6):
            return f"${self.random.choice(known).name}"
        known.append(self._new_variable(type_, name, has_default=has_default))
        return f"${known[-1].name}"

    def _new_variable(self, type_: GraphQLInputType, name: str, *, has_default: bool) -> _Variable:
        bare = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
        required = isinstance(type_, GraphQLNonNull) and not has_default
        form = self.random.choice(["!", "="] if required else ["!", "=", ""])
        default = self._present(bare, name, constant=True) if form == "=" else None
        declared = f"{bare}!" if form == "!" else f"{bare}"
        self._count += 1
        return _Variable(
            f"v{self._count}",
            f"{declared} = {default}" if default else declared,
            [self._given(bare, name, nullable=form != "!") for _ in range(VALUES)],
        )

    def _declarations(self) -> str:
        known = [variable for variables in self._variables.values() for variable in variables]
        declared = [f"${variable.name}: {variable.declared}" for variable in known]
        return f"({', '.join(declared)}) " if declared else " "

    def _values(self) -> list[dict[str, Any]]:
        known = [variable for variables in self._variables.values() for variable in variables]
        sets = [{v.name: v.values[n] for v in known} for n in range(VALUES)]
        given = [{n: v for n, v in values.items() if v is not _ABSENT} for values in sets]
        return given if known else given[:1]

    def _given(self, type_: GraphQLInputType, name: str, *, nullable: bool) -> Any:
        if self._happens(self.misfits):
            return self.random.choice([None, "misfit", 17, [], {}, [[None]], {"x": 1}])
        if nullable and self._happens(0.4):
            return self.random.choice([None, _ABSENT])
        return self._json(type_, name)

    def _json(self, type_: GraphQLInputType, name: str) -> Any:
        match type_:
            case GraphQLNonNull(of_type=inner):
                return self._json(inner, name)
            case GraphQLList(of_type=inner):
                return [self._json(inner, name) for _ in range(self.random.randint(0, 3))]
            case GraphQLEnumType(values=values):
                return self.random.choice(list(values))
            case GraphQLInputObjectType():
                return {n: self._json(p.type, n) for n, p in self._chosen_parts(type_)}
            case _:
                return self.random.choice(self._pool(type_, name))


def _is_required(part: GraphQLArgument | GraphQLInputField) -> bool:
    return isinstance(part.type, GraphQLNonNull) and not _has_default(part)


def _is_one_of(type_: GraphQLInputObjectType) -> bool:
    # Strawberry has its own rule for this, which graphql-core does not know.
    return getattr(type_.extensions.get("strawberry-definition"), "is_one_of", False)


def _has_default(part: GraphQLArgument | GraphQLInputField) -> bool:
    return part.default_value is not Undefined


def _literal(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
