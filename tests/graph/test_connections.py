"""Connections of Postern and of Strawberry in one schema."""

import strawberry
from strawberry import relay

from auth.permissions import PermissionRegistry
from graph.permissions import Public
from graph.schema import build_schema


@strawberry.type
class Boat(relay.Node):
    number: relay.NodeID[int]


@strawberry.type
class Harbor:
    @relay.connection(relay.ListConnection[Boat], permission_classes=[Public])
    def boats(self) -> list[Boat]:
        return [Boat(number=n) for n in range(3)]


async def test_strawberry_connection_works_in_the_same_schema() -> None:
    schema = build_schema(PermissionRegistry({}), queries=[Harbor])
    result = await schema.execute(
        "{ boats(first: 2) { edges { cursor } pageInfo { hasNextPage } } }"
    )
    assert result.errors is None
    assert result.data is not None
    assert result.data["boats"]["pageInfo"] == {"hasNextPage": True}
