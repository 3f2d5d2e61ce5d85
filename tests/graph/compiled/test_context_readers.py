"""Only marked resolvers and permission classes get the context instead of the full `info`."""

from collections.abc import Callable
from functools import wraps
from types import SimpleNamespace
from typing import Any

import pytest
import strawberry
from strawberry.permission import BasePermission

from graph.compiled.compilable import reads_only_context
from graph.permissions import HasPermission, HasRole, HasSession, IsAuthenticated, IsSelfOr, Public
from tests.graph.compiled.running import prepare

ALICE = SimpleNamespace(
    user_id="1",
    permissions={"boats:read"},
    user=SimpleNamespace(roles=[SimpleNamespace(name="captain")]),
    may=lambda _permission: True,
)
CONTEXT = SimpleNamespace(viewer=ALICE, session_id="1", word="anchor")


class Noting(IsAuthenticated):
    """A custom subclass of a marked class. It is not marked itself."""

    def check(self, source: Any, info: Any, arguments: dict[str, Any]) -> None:
        info.context.seen = info.field_name, info.path.as_list()


class Curious(BasePermission):
    def has_permission(self, source: Any, info: Any, **_: Any) -> bool:
        info.context.seen = info.field_name, info.path.as_list()
        return True


@reads_only_context
def marked(info: strawberry.Info[Any, None]) -> str:
    assert not hasattr(info, "field_name")
    return str(info.context.word)


@wraps(marked)
def wrapped(info: strawberry.Info[Any, None]) -> str:
    return info.field_name


def unmarked(info: strawberry.Info[Any, None]) -> str:
    return info.field_name


async def answer(resolver: Callable[..., Any], *classes: type[BasePermission]) -> Any:
    @strawberry.type
    class Query:
        word: str = strawberry.field(resolver=resolver, permission_classes=list(classes))

    context = SimpleNamespace(**vars(CONTEXT))
    operation = prepare(Query, "{ word }")
    result = await operation.run(context=context)
    assert (result.errors, operation.interpreted) == (None, 0)
    return result.data and result.data["word"], getattr(context, "seen", None)


GUARDS = [
    *(Public, IsAuthenticated, HasSession, HasRole("captain")),
    *(HasPermission("boats:read"), IsSelfOr("boats:read")),
]


@pytest.mark.parametrize("guard", GUARDS)
async def test_permission_class_of_postern_reads_only_the_context(
    guard: type[BasePermission],
) -> None:
    assert await answer(marked, guard) == ("anchor", None)


@pytest.mark.parametrize("guard", [Noting, Curious])
@pytest.mark.parametrize("first", [[], [IsAuthenticated]])
async def test_custom_permission_class_gets_the_full_info(
    guard: type[BasePermission], first: list[type[BasePermission]]
) -> None:
    _, seen = await answer(lambda: "word", *first, guard)
    assert seen == ("word", ["word"])


@pytest.mark.parametrize("resolver", [unmarked, wrapped])
async def test_custom_resolver_gets_the_full_info(
    resolver: Callable[..., Any],
) -> None:
    assert (await answer(resolver, IsAuthenticated))[0] == "word"


async def test_permission_class_with_replaced_method_gets_the_full_info() -> None:
    class Query:
        word: str = strawberry.field(resolver=lambda: "w", permission_classes=[IsAuthenticated])

    query = strawberry.type(Query)
    (field,) = query.__strawberry_definition__.fields  # type: ignore[attr-defined]
    seen: list[str] = []

    def has_permission(_source: Any, info: Any) -> bool:
        seen.append(info.field_name)
        return True

    field.extensions[0].permissions[0].has_permission = has_permission
    result = await prepare(query, "{ word }").run(context=CONTEXT)
    assert (result.errors, seen) == (None, ["word"])
