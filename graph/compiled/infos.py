"""What a resolver learns of the operation that it is called for."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
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
            return ResolveInfo(
                name,
                nodes,
                return_type,
                parent,
                core_path(path),
                schema,
                fragments,
                run.root,
                operation,
                run.variables.coerced,
                run.context,
                optimized_is_awaitable,
                None,
                helpers,
                None,  # type: ignore[arg-type] # Strawberry itself passes none without extensions
            )

        return make_info


class LazyInfo(strawberry.Info[Any, Any]):
    """Strawberry's `Info`, of which hardly anybody wants more than the context."""

    # A property of Strawberry's, asked for several times by each field.
    context: Any = None

    def __init__(self, make: MakeInfo, field: StrawberryField, run: Run, path: Path) -> None:
        self.context = run.context
        self._field = field
        self._wanted = make, run, path

    @cached_property
    def _raw_info(self) -> Any:  # type: ignore[override] # set by nobody
        make, run, path = self._wanted
        return make(run, path)
