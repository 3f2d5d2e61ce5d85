"""Creates the `info` argument of resolvers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import strawberry
from graphql import (
    FragmentDefinitionNode,
    GraphQLField,
    GraphQLSchema,
    OperationDefinitionNode,
)
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.schema import (
    _OperationContextAwareGraphQLResolveInfo as ResolveInfo,  # what Strawberry's resolvers expect
)
from strawberry.types.field import StrawberryField

from graph.compiled.completion import FieldLocation
from graph.compiled.runs import Path, Run, core_path

_new: Any = object.__new__
_new_tuple: Any = tuple.__new__

MakeInfo = Callable[[Run, Path], Any]


@dataclass(frozen=True, slots=True)
class OperationInfo:
    """The part of `info` that is the same for all fields of an operation."""

    schema: GraphQLSchema
    operation: OperationDefinitionNode
    fragments: dict[str, FragmentDefinitionNode]
    helpers: Any

    def info_at(self, field: GraphQLField, location: FieldLocation) -> MakeInfo:
        """Returns a function that creates the `info` of one field."""
        name, nodes, parent, return_type = (
            location.nodes[0].name.value,
            location.nodes,
            location.parent,
            field.type,
        )
        schema, fragments, operation = self.schema, self.fragments, self.operation
        helpers = self.helpers

        def make_info(run: Run, path: Path) -> Any:
            # Calling the class takes three times as long.
            return _new_tuple(
                ResolveInfo,
                (
                    name,
                    # Copies, because resolvers could change them.
                    nodes.copy(),
                    return_type,
                    parent,
                    core_path(path),
                    schema,
                    fragments.copy(),
                    # There is no root value.
                    None,
                    operation,
                    run.values,
                    run.context,
                    optimized_is_awaitable,
                    None,
                    helpers,
                    run.extensions,
                ),
            )

        return make_info


def strawberry_info(make_core_info: MakeInfo, field: StrawberryField) -> MakeInfo:
    """Returns a function that creates Strawberry's `Info` without calling its constructor."""

    def make_info(run: Run, path: Path) -> strawberry.Info[Any, Any]:
        info: strawberry.Info[Any, Any] = _new(strawberry.Info)
        info._raw_info = make_core_info(run, path)  # noqa: SLF001 - a field of the dataclass
        info._field = field  # noqa: SLF001 - a field of the dataclass
        return info

    return make_info
