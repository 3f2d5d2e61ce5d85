"""Permission classes and field extensions of the fuzzing schema."""

from collections.abc import Awaitable
from typing import Any

import strawberry
from strawberry.extensions import FieldExtension
from strawberry.permission import BasePermission

from auth.errors import Forbidden
from tests.graph.compiled.chance import Chance


def _answer(chance: Chance) -> Any:
    """Returns the answer of a permission class: mostly True."""
    if not chance.happens(2 * chance.failing):
        return True
    if chance.happens(0.2):
        raise Forbidden("things:do")
    if chance.happens(0.1):
        raise ValueError("cannot say")
    return chance.among([False, False, False, None, "yes", 1, 0])


def _chance(info: Any, who: str) -> Chance:
    chance: Chance = info.context.at(who, *info.path.as_list())
    return chance


class Allows(BasePermission):
    message = "not allowed"
    error_extensions = {"code": "NOT_ALLOWED"}  # noqa: RUF012 - as the base class has it

    def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> Any:
        return _answer(_chance(info, "Allows"))


class AllowsLater(BasePermission):
    message = "not allowed later"

    async def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> Any:
        answer = _answer(_chance(info, "AllowsLater"))
        return await _chance(info, "AllowsLater later").at().give_later(answer)


class AllowsOwn(BasePermission):
    """Reads the object and the arguments, and raises its own error."""

    def has_permission(
        self, source: Any, info: strawberry.Info, **kwargs: Any
    ) -> bool | Awaitable[bool]:
        if kwargs.get("secret") == "open":
            return True
        answer: bool = _answer(source.chance.at("AllowsOwn"))
        return answer

    def on_unauthorized(self) -> None:
        raise Forbidden("things:own")


class Louder(FieldExtension):
    """Changes the value of the resolver, before or after it is awaited."""

    def __init__(self, mark: str = "!") -> None:
        self.mark = mark

    def resolve(self, next_: Any, source: Any, info: strawberry.Info, **kwargs: Any) -> Any:
        value = next_(source, info, **kwargs)
        return value + self.mark if isinstance(value, str) else value

    async def resolve_async(
        self, next_: Any, source: Any, info: strawberry.Info, **kwargs: Any
    ) -> Any:
        value = await next_(source, info, **kwargs)
        return value + self.mark if isinstance(value, str) else value


class OnlyLater(FieldExtension):
    """An extension with `resolve_async` only."""

    async def resolve_async(
        self, next_: Any, source: Any, info: strawberry.Info, **kwargs: Any
    ) -> Any:
        return await _chance(info, "OnlyLater").give_later(await next_(source, info, **kwargs))


class Twice(FieldExtension):
    """Calls the next resolver twice, or not at all."""

    def resolve(self, next_: Any, source: Any, info: strawberry.Info, **kwargs: Any) -> Any:
        chance = _chance(info, "Twice")
        if chance.happens(chance.failing):
            return chance.give("instead")
        next_(source, info, **kwargs)
        return next_(source, info, **kwargs)
