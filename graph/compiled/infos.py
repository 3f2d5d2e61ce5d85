"""What a resolver learns of the operation that it is called for."""

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

from graph.compiled.completion import Place
from graph.compiled.runs import Path, Run, core_path

_new: Any = object.__new__
_new_tuple: Any = tuple.__new__

MakeInfo = Callable[[Run, Path], Any]


@dataclass(frozen=True, slots=True)
class Document:
    """What `info` tells of the whole operation."""

    schema: GraphQLSchema
    operation: OperationDefinitionNode
    fragments: dict[str, FragmentDefinitionNode]
    helpers: Any

    def info_at(self, field: GraphQLField, place: Place) -> MakeInfo:
        """Makes the `info` of one field."""
        name, nodes, parent, return_type = (
            place.nodes[0].name.value,
            place.nodes,
            place.parent,
            field.type,
        )
        schema, fragments, operation = self.schema, self.fragments, self.operation
        helpers = self.helpers

        def make_info(run: Run, path: Path) -> Any:
            # As the class would make it, in a third of the time.
            return _new_tuple(
                ResolveInfo,
                (
                    name,
                    # Copies: resolvers could write into them, and other requests read them.
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


def strawberry_info(make_raw_info: MakeInfo, field: StrawberryField) -> MakeInfo:
    """Makes Strawberry's own `Info`: what its constructor does, without the call."""

    def make_info(run: Run, path: Path) -> strawberry.Info[Any, Any]:
        info: strawberry.Info[Any, Any] = _new(strawberry.Info)
        info._raw_info = make_raw_info(run, path)  # noqa: SLF001 - a field of the dataclass
        info._field = field  # noqa: SLF001 - the same
        return info

    return make_info
