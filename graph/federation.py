"""Apollo Federation: permission classes for the fields `_entities` and `_service`."""

from collections.abc import Sequence
from typing import Any

import strawberry
from strawberry import federation
from strawberry.permission import BasePermission, PermissionExtension
from strawberry.types import get_object_definition
from strawberry.types.field import StrawberryField

# Strawberry adds them to the query type.
_FIELDS = {"_entities", "_service"}


class FederationSchema(federation.Schema):
    """Strawberry's federation schema, with permission classes on the fields for the gateway.

    `_entities` returns objects by their keys. `_service` returns the whole SDL, even if
    introspection is off. `[Public]` allows both for all callers.
    """

    def __init__(
        self,
        query: type | None = None,
        *,
        federation_permission_classes: Sequence[type[BasePermission]],
        **options: Any,
    ) -> None:
        """Builds the schema; `options` are those of `strawberry.federation.Schema`."""
        self._permission_classes = federation_permission_classes
        super().__init__(query, **options)

    def _get_federation_query_type(self, *arguments: Any) -> type:
        query = super()._get_federation_query_type(*arguments)
        for field in _federation_fields(query):
            if not _has_permissions(field):
                permissions = [permission() for permission in self._permission_classes]
                field.extensions.append(PermissionExtension(permissions, use_directives=False))
        return query


def unguarded_federation_fields(schema: strawberry.Schema) -> list[str]:
    """Returns the names of the federation fields without permission classes."""
    if not isinstance(schema, federation.Schema):
        return []
    fields = _federation_fields(schema.query)
    return sorted(f"Query.{field.graphql_name}" for field in fields if not _has_permissions(field))


def _federation_fields(query: type) -> list[StrawberryField]:
    definition = get_object_definition(query, strict=True)
    return [field for field in definition.fields if field.graphql_name in _FIELDS]


def _has_permissions(field: StrawberryField) -> bool:
    return any(isinstance(extension, PermissionExtension) for extension in field.extensions)
