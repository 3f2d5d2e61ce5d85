"""Running compiled operations: order, concurrency and cancellation."""

# Resolvers may return values that do not fit their annotations.
# mypy: disable-error-code="no-any-return"

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
import strawberry

from tests.graph.compiled.running import all_tasks_end, errors_of, prepare, run


class Meeting:
    """Two calls that wait for each other, so they must run concurrently."""

    def __init__(self) -> None:
        self._arrived = [asyncio.Event(), asyncio.Event()]

    async def of(self, one: int) -> int:
        self._arrived[one].set()
        async with asyncio.timeout(5):
            await self._arrived[1 - one].wait()
        return one


@strawberry.type
class Guest:
    number: int
    meeting: strawberry.Private[Meeting]

    @strawberry.field
    async def met(self) -> int:
        return await self.meeting.of(self.number)


@strawberry.type
class Query:
    @strawberry.field
    async def met(self, info: strawberry.Info[Meeting, None], number: int) -> int:
        return await info.context.of(number)

    @strawberry.field
    def guests(self, info: strawberry.Info[Meeting, None]) -> list[Guest]:
        return [Guest(number=n, meeting=info.context) for n in range(2)]

    @strawberry.field
    def numbers(self, info: strawberry.Info[Meeting, None]) -> list[int]:
        awaited: Any = [info.context.of(0), info.context.of(1)]
        return awaited

    @strawberry.field
    async def guests_later(self, info: strawberry.Info[Meeting, None]) -> list[Guest]:
        async def come() -> AsyncGenerator[Guest, None]:
            for n in range(2):
                yield Guest(number=n, meeting=info.context)

        coming: Any = come()
        return coming


@pytest.mark.parametrize(
    "text",
    [
        "{ one: met(number: 0) other: met(number: 1) }",
        "{ guests { met } }",
        "{ guestsLater { met } }",
        "{ numbers }",
    ],
)
async def test_fields_are_awaited_concurrently(text: str) -> None:
    result = await prepare(Query, text).run(context=Meeting())
    assert result.errors is None


@strawberry.type
class Write:
    @strawberry.mutation
    async def slowly(self, info: strawberry.Info[list[str], None], word: str) -> str:
        info.context.append(f"{word} begins")
        for _ in range(3):
            await asyncio.sleep(0)
        info.context.append(f"{word} ends")
        return word

    @strawberry.mutation
    def quickly(self, info: strawberry.Info[list[str], None], word: str) -> str:
        info.context.append(word)
        return word

    @strawberry.mutation
    def fail(self, info: strawberry.Info[list[str], None]) -> int | None:
        info.context.append("fails")
        raise ValueError("no")

    @strawberry.mutation
    def fail_hard(self, info: strawberry.Info[list[str], None]) -> int:
        info.context.append("fails hard")
        raise ValueError("no")


async def write(text: str) -> tuple[Any, list[str]]:
    done: list[str] = []
    result = await prepare(Query, f"mutation {{ {text} }}", Write).run(context=done)
    return result.data, done


async def test_mutations_run_serially() -> None:
    data, done = await write('a: slowly(word: "a") b: quickly(word: "b") c: slowly(word: "c")')
    assert done == ["a begins", "a ends", "b", "c begins", "c ends"]
    assert list(data) == ["a", "b", "c"]


async def test_mutation_runs_after_a_failed_nullable_one() -> None:
    data, done = await write('fail b: quickly(word: "b")')
    assert (data, done) == ({"fail": None, "b": "b"}, ["fails", "b"])


async def test_mutation_does_not_run_after_a_failed_non_null_one() -> None:
    data, done = await write('a: slowly(word: "a") failHard b: quickly(word: "b")')
    assert (data, done) == (None, ["a begins", "a ends", "fails hard"])


@strawberry.type
class Sibling:
    """Fields beside a field that fails."""

    ended: strawberry.Private[list[str]]

    @strawberry.field
    async def slow(self) -> str:
        try:
            for _ in range(20):
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.ended.append("cancelled")
            raise
        self.ended.append("slow")
        return "slow"

    @strawberry.field
    async def slowly_failing(self) -> str | None:
        for _ in range(5):
            await asyncio.sleep(0)
        raise ValueError("later still")

    @strawberry.field
    def failing(self) -> str:
        raise ValueError("at once")

    @strawberry.field
    async def failing_later(self) -> str:
        await asyncio.sleep(0)
        raise ValueError("later")

    @strawberry.field
    def kids(self) -> list["Sibling"]:
        return [Sibling(ended=self.ended) for _ in range(2)]


@strawberry.type
class Family:
    @strawberry.field
    def sibling(self, info: strawberry.Info[list[str], None]) -> Sibling | None:
        return Sibling(ended=info.context)


async def end_of(text: str) -> tuple[Any, list[str], list[str]]:
    ended: list[str] = []
    result = await prepare(Family, f"{{ sibling {{ {text} }} }}").run(context=ended)
    await all_tasks_end()
    return result.data, [error.message for error in result.errors or []], ended


async def test_started_sibling_finishes_after_a_synchronous_error() -> None:
    data, messages, ended = await end_of("slow failing slowlyFailing")
    assert (data, messages, ended) == ({"sibling": None}, ["at once"], ["slow"])


async def test_waiting_sibling_is_cancelled_after_an_asynchronous_error() -> None:
    data, messages, ended = await end_of("slow failingLater slowlyFailing")
    assert (data, messages, ended) == ({"sibling": None}, ["later"], ["cancelled"])


async def test_nulled_lists_leave_no_running_task() -> None:
    text = "kids { slow kids { slow failingLater } } other: kids { failing slow } slow"
    data, messages, _ = await end_of(text)
    assert (data, messages) == ({"sibling": None}, ["at once"])


async def test_cancelled_request_cancels_its_resolvers() -> None:
    ended: list[str] = []
    operation = prepare(Family, "{ sibling { slow kids { slow } } }")
    request = asyncio.create_task(operation.run(context=ended))
    # Wait until all three have started. graphql-core also drops those that have not.
    for _ in range(10):
        await asyncio.sleep(0)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert ended == ["cancelled"] * 3


async def test_cancelled_error_of_a_resolver_is_not_a_field_error() -> None:
    @strawberry.type
    class Cancelled:
        @strawberry.field
        async def gone(self) -> str | None:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await run(Cancelled, "{ gone }")


async def test_reply_has_a_copy_of_a_returned_list() -> None:
    basket: list[int] = []

    @strawberry.type
    class Baskets:
        @strawberry.field
        def basket(self) -> list[int]:
            basket.append(len(basket))
            return basket

        @strawberry.field
        def words(self) -> list[str]:
            return words

    words = ["one"]
    result = await run(Baskets, "{ a: basket b: basket words }")
    words.append("two")
    assert result.data == {"a": [0], "b": [0, 1], "words": ["one"]}


async def test_errors_are_in_the_order_of_occurrence() -> None:
    @strawberry.type
    class Failing:
        @strawberry.field
        async def later(self) -> str | None:
            await asyncio.sleep(0)
            raise ValueError("later")

        @strawberry.field
        def now(self) -> str | None:
            raise ValueError("now")

    result = await run(Failing, "{ later now }")
    assert [message for message, _, _ in errors_of(result)] == ["now", "later"]
