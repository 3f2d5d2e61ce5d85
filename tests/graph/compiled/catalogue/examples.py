"""Examples of Strawberry's features: each runs compiled and by `Schema.execute`."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import strawberry


class Path(Enum):
    """How an example is executed."""

    COMPILED = "compiled"
    GRAPHQL_CORE = "graphql-core"
    STRAWBERRY = "Strawberry"


@dataclass(slots=True)
class Example:
    schema: strawberry.Schema
    text: str
    variables: dict[str, Any] | None = None
    context: Any = None
    name: str | None = None
    # The `extensions` of the request.
    extensions: dict[str, Any] | None = None
    path: Path = Path.COMPILED


# By name. Called for each executor, so that no state is shared.
EXAMPLES: dict[str, Callable[[], Example]] = {}
# The calls of resolvers and hooks, in order.
SEEN: list[Any] = []


def example(build: Callable[[], Example]) -> Callable[[], Example]:
    assert build.__name__ not in EXAMPLES
    EXAMPLES[build.__name__] = build
    return build


def see(value: Any) -> Any:
    """Records a value, and returns it."""
    SEEN.append(value)
    return value
