"""Subscriptions, plain and with permissions and extensions."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import strawberry
from graphql import GraphQLError
from strawberry.extensions import MaskErrors, SchemaExtension
from strawberry.permission import BasePermission
from strawberry.types.execution import StreamExecutionResult

from tests.graph.compiled.catalogue.examples import Example, see


class Refuses(BasePermission):
    message = "refused"

    async def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> bool:
        return False


@strawberry.type
class Query:
    word: str = "word"


@strawberry.type
class Event:
    number: int

    @strawberry.field
    def even(self) -> bool | None:
        if self.number == 2:
            raise ValueError("two")
        return self.number % 2 == 0


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def count(self, info: strawberry.Info, to: int = 3) -> AsyncIterator[Event]:
        see(type(info).__name__)
        try:
            for number in range(to):
                yield Event(number=number)
        finally:
            see("closed")

    @strawberry.subscription
    async def breaks(self) -> AsyncIterator[int]:
        yield 1
        raise ValueError("breaks")

    @strawberry.subscription(permission_classes=[Refuses])
    async def refused(self) -> AsyncIterator[int]:
        yield 1

    @strawberry.subscription
    async def waits(self) -> AsyncIterator[int]:
        await asyncio.Event().wait()
        yield 1

    @strawberry.subscription
    async def nothing(self) -> AsyncIterator[int]:
        for number in range(0):
            yield number


class Hooks(SchemaExtension):
    def on_operation(self) -> Iterator[None]:
        see("begins")
        yield
        see("ends")

    def on_execute(self) -> Iterator[None]:
        see("executes")
        yield

    def on_stream_result(self, result: StreamExecutionResult) -> Iterator[None]:
        see(getattr(result, "data", None))
        yield

    def get_results(self) -> dict[str, Any]:
        return {"hooks": True}


class RefusesAll(SchemaExtension):
    def on_validate(self) -> Iterator[None]:
        yield
        self.execution_context.pre_execution_errors = [GraphQLError("no")]


COUNT = "subscription { count { number even } }"

WAITS = "subscription { waits }"

Build = Callable[[], Example]


def subscribed(text: str, variables: dict[str, Any] | None = None, *extensions: Any) -> Build:
    def build() -> Example:
        schema = strawberry.Schema(Query, None, Subscription, extensions=extensions)
        return Example(schema, text, variables)

    return build


SUBSCRIPTIONS: dict[str, Build] = {
    "plain": subscribed(COUNT),
    "variables": subscribed("subscription ($n: Int!) { count(to: $n) { even } }", {"n": 1}),
    "wrong variables": subscribed("subscription ($n: Int!) { count(to: $n) { even } }", {}),
    "breaks": subscribed("subscription { breaks }"),
    "refused": subscribed("subscription { refused }"),
    "nothing": subscribed("subscription { nothing }"),
    "hooks": subscribed(COUNT, None, Hooks),
    "mask errors": subscribed(COUNT, None, MaskErrors),
    "refused by extension": subscribed(COUNT, None, RefusesAll),
    "nothing with hooks": subscribed("subscription { nothing }", None, Hooks),
    "wrong variables with hooks": subscribed(
        "subscription ($n: Int!) { count(to: $n) { even } }", {}, Hooks
    ),
}
