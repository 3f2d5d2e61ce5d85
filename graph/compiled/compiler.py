"""Compiles a validated operation to closures."""

from types import CoroutineType
from typing import Any

import strawberry
from graphql import (
    GraphQLAbstractType,
    GraphQLEnumType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLScalarType,
    GraphQLUnionType,
    OperationType,
)
from graphql.execution import Executor
from graphql.execution.collect_fields import (
    CollectedFields,
    FieldDetailsList,
    collect_fields,
    collect_subfields,
)

from graph.compiled.completion import (
    Complete,
    Completion,
    FieldLocation,
    ResolveInfo,
    Unsupported,
    complete_leaf,
    complete_list,
    complete_non_null,
    complete_nullable,
)
from graph.compiled.fields import (
    RunField,
    attribute_field,
    plain_field,
    resolved_field,
    typename_field,
)
from graph.compiled.located_errors import Nodes
from graph.compiled.resolve_info import OperationInfo
from graph.compiled.resolvers import attribute_of, plain_resolver
from graph.compiled.runs import Path, Run, is_awaitable
from graph.compiled.selections import RunSelection, parallel_selection, serial_selection
from graph.errors.error_origins import raise_wrong_type


class Compiler:
    """Compiles one operation, for one combination of the variables of `@skip` and `@include`."""

    def __init__(self, schema: strawberry.Schema, executor: Executor[Any]) -> None:
        self._strawberry_schema = schema
        # Used for its knowledge of the operation. It never runs.
        self._executor = executor
        self._schema = executor.schema
        self._operation_info = OperationInfo(
            executor.schema,
            executor.operation,
            executor.fragment_definitions,
            executor.async_helpers,
        )

    def compile(self) -> RunSelection:
        """Compiles the whole operation. Raises Unsupported."""
        operation = self._executor.operation
        root = self._schema.get_root_type(operation.operation)
        if root is None or operation.operation is OperationType.SUBSCRIPTION:
            raise Unsupported
        collected = collect_fields(
            self._schema,
            self._executor.fragments,
            self._executor.variable_values,
            root,
            operation,
        )
        fields = self._fields(root, collected)
        if operation.operation is OperationType.MUTATION:
            return serial_selection(fields)
        return parallel_selection(fields)

    def _selection(self, parent: GraphQLObjectType, details: FieldDetailsList) -> RunSelection:
        collected = collect_subfields(
            self._schema,
            self._executor.fragments,
            self._executor.variable_values,
            self._executor.operation,
            parent,
            details,
        )
        return parallel_selection(self._fields(parent, collected))

    def _fields(self, parent: GraphQLObjectType, collected: CollectedFields) -> dict[str, RunField]:
        if collected.new_defer_usages:
            raise Unsupported
        return {
            key: self._field(parent, key, details)
            for key, details in collected.grouped_field_set.items()
        }

    def _field(self, parent: GraphQLObjectType, key: str, details: FieldDetailsList) -> RunField:
        name = details[0].node.name.value
        if name == "__typename":
            return typename_field(parent)
        field = self._schema.get_field(parent, name)
        if name.startswith("__") or field is None or details[0].fragment_variable_values:
            raise Unsupported
        location = FieldLocation(Nodes(detail.node for detail in details), parent)
        completion = self._completion(field.type, location, details)
        attribute = attribute_of(field)
        if attribute is not None:
            return attribute_field(attribute, key, field, completion, location)
        shared = (completion, location, self._operation_info.info_at(field, location))
        resolver = plain_resolver(field, self._strawberry_schema)
        if resolver is not None:
            return plain_field(resolver, key, field, shared)
        return resolved_field(key, field, shared)

    def _completion(
        self, type_: GraphQLOutputType, location: FieldLocation, details: FieldDetailsList
    ) -> Completion:
        if isinstance(type_, GraphQLNonNull):
            plain = self._completer_of_value(type_.of_type, location, details)
            return Completion(complete_non_null(plain, location), plain)
        plain = self._completer_of_value(type_, location, details)
        return Completion(complete_nullable(plain), plain)

    def _completer_of_value(
        self, type_: GraphQLOutputType, location: FieldLocation, details: FieldDetailsList
    ) -> Complete:
        match type_:
            case GraphQLScalarType() | GraphQLEnumType():
                return complete_leaf(type_)
            case GraphQLList():
                return complete_list(
                    type_, self._completion(type_.of_type, location, details), location
                )
            case GraphQLObjectType():
                return self._object(type_, details)
            case GraphQLInterfaceType() | GraphQLUnionType():
                return self._abstract(type_, details)
            case _:
                raise Unsupported

    def _object(self, type_: GraphQLObjectType, details: FieldDetailsList) -> Complete:
        run_selection = self._selection(type_, details)
        is_type_of = type_.is_type_of
        if is_type_of is None:
            return run_selection

        def run_checked(value: Any, run: Run, path: Path, info: ResolveInfo) -> Any:
            answer = is_type_of(value, info)
            if is_awaitable(answer):
                return run_awaited(answer, value, run, path)
            if not answer:
                raise_wrong_type(type_, value, details)
            return run_selection(value, run, path, info)

        async def run_awaited(answer: Any, value: Any, run: Run, path: Path) -> Any:
            if not await answer:
                raise_wrong_type(type_, value, details)
            completed = run_selection(value, run, path, None)
            return await completed if type(completed) is CoroutineType else completed

        return run_checked

    def _abstract(self, type_: GraphQLAbstractType, details: FieldDetailsList) -> Complete:
        executor = self._executor
        resolve_type = type_.resolve_type or executor.type_resolver
        # Compiled on the first value of a type: a document may name many types without values.
        compiled: dict[str, Complete] = {}

        def complete_as(name: Any, value: Any, run: Run, path: Path, info: ResolveInfo) -> Any:
            complete = compiled.get(name) if isinstance(name, str) else None
            if complete is None:
                runtime = executor.ensure_valid_runtime_type(name, type_, details, info, value)
                complete = compiled[name] = self._object(runtime, details)
            return complete(value, run, path, info)

        def run_abstract(value: Any, run: Run, path: Path, info: ResolveInfo) -> Any:
            name = resolve_type(value, info, type_)
            if is_awaitable(name):
                return run_awaited(name, value, run, path, info)
            return complete_as(name, value, run, path, info)

        async def run_awaited(
            name: Any, value: Any, run: Run, path: Path, info: ResolveInfo
        ) -> Any:
            completed = complete_as(await name, value, run, path, info)
            return await completed if type(completed) is CoroutineType else completed

        return run_abstract
