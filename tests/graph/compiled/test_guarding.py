"""Permission classes and field extensions hold in compiled operations."""

# Resolvers may return values that do not fit their annotations.
# mypy: disable-error-code="no-any-return"

from typing import Any

import pytest
import strawberry
from strawberry.extensions import FieldExtension
from strawberry.permission import BasePermission, PermissionExtension

from tests.graph.compiled.running import errors_of, run

RESOLVED: list[str] = []


@pytest.fixture(autouse=True)
def clear_resolved() -> None:
    RESOLVED.clear()


def permission(answer: Any) -> type[BasePermission]:
    class Permission(BasePermission):
        message = f"said {answer}"

        def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> bool:
            if isinstance(answer, Exception):
                raise answer
            return answer

    return Permission


def later(answer: bool) -> type[BasePermission]:
    class Later(BasePermission):
        message = f"said {answer} later"

        async def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> bool:
            return answer

    return Later


def guarded(*classes: type[BasePermission]) -> type:
    """Returns a query type whose fields all have these permission classes."""

    @strawberry.type
    class Query:
        @strawberry.field(permission_classes=list(classes))
        def plain(self) -> str | None:
            RESOLVED.append("plain")
            return "open"

        @strawberry.field(permission_classes=list(classes))
        async def slow(self) -> str | None:
            RESOLVED.append("slow")
            return "open"

        @strawberry.field(permission_classes=list(classes))
        def asked(self, info: strawberry.Info, word: str = "open") -> str | None:
            RESOLVED.append("asked")
            return word

        attribute: str | None = strawberry.field(permission_classes=list(classes), default="open")

        @strawberry.field(permission_classes=list(classes))
        def must(self) -> str:
            RESOLVED.append("must")
            return "open"

        free: str = "free"

    return with_root(Query)


def with_root(kind: type) -> type:
    @strawberry.type
    class Root:
        @strawberry.field
        def inner(self) -> kind | None:  # type: ignore[valid-type] # a class
            return kind()

    return Root


FIELDS = ["plain", "slow", "asked", "attribute", "must"]
OPEN = [(permission(True),), (later(True),), (permission(True), later(True)), ()]
SHUT = [
    ((permission(False),), "said False"),
    ((later(False),), "said False later"),
    ((permission(True), permission(False)), "said False"),
    ((permission(False), later(True)), "said False"),
    ((later(True), permission(False)), "said False"),
    ((permission(ValueError("cannot say")),), "cannot say"),
]


@pytest.mark.parametrize("classes", OPEN)
@pytest.mark.parametrize("field", FIELDS)
async def test_field_is_resolved_if_all_permission_classes_permit(classes: Any, field: str) -> None:
    result = await run(guarded(*classes), f"{{ inner {{ {field} free }} }}")
    assert result.data == {"inner": {field: "open", "free": "free"}}
    assert result.errors is None


@pytest.mark.parametrize(("classes", "message"), SHUT)
@pytest.mark.parametrize("field", FIELDS)
async def test_field_is_null_with_an_error_if_a_permission_class_denies(
    classes: Any, message: str, field: str
) -> None:
    result = await run(guarded(*classes), f"{{ inner {{ {field} free }} }}")
    nulled = None if field == "must" else {field: None, "free": "free"}
    assert result.data == {"inner": nulled}
    assert [(error[0], error[1]) for error in errors_of(result)] == [(message, ["inner", field])]


@pytest.mark.parametrize(("classes", "message"), SHUT)
@pytest.mark.parametrize("field", FIELDS)
async def test_denied_field_is_not_resolved(classes: Any, message: str, field: str) -> None:
    await run(guarded(*classes), f"{{ inner {{ {field} }} }}")
    assert RESOLVED == []


@pytest.mark.parametrize("answer", [None, 1, "yes", [True], object()])
@pytest.mark.parametrize("field", FIELDS)
async def test_only_true_permits(answer: Any, field: str) -> None:
    result = await run(guarded(permission(answer)), f"{{ inner {{ {field} }} }}")
    assert len(result.errors) == 1
    assert RESOLVED == []


async def test_coroutine_of_a_synchronous_permission_class_does_not_permit() -> None:
    class Forgetful(BasePermission):
        def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> Any:
            return later(True)().has_permission(source, info)

    result = await run(guarded(Forgetful), "{ inner { plain asked attribute } }")
    assert result.data == {"inner": {"plain": None, "asked": None, "attribute": None}}
    assert RESOLVED == []


async def test_permission_class_gets_object_arguments_and_path() -> None:
    seen: list[Any] = []

    class Curious(BasePermission):
        def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> bool:
            seen.append((type(source).__name__, kwargs, info.field_name, info.path.as_list()))
            return True

    await run(guarded(Curious), '{ inner { a: asked(word: "x") plain } }')
    assert seen == [
        ("Query", {"word": "x"}, "asked", ["inner", "a"]),
        ("Query", {}, "plain", ["inner", "plain"]),
    ]


async def test_silent_permission_failure_gives_an_empty_list() -> None:
    quiet = PermissionExtension([permission(False)()], fail_silently=True)

    @strawberry.type
    class Query:
        @strawberry.field(extensions=[quiet])
        def words(self) -> list[str]:
            return ["secret"]

    result = await run(Query, "{ words }")
    assert (result.data, result.errors) == ({"words": []}, None)


class Around(FieldExtension):
    def __init__(self, mark: str) -> None:
        self.mark = mark

    def resolve(self, next_: Any, source: Any, info: strawberry.Info, **kwargs: Any) -> Any:
        return f"{self.mark}({next_(source, info, **kwargs)})"

    async def resolve_async(
        self, next_: Any, source: Any, info: strawberry.Info, **kwargs: Any
    ) -> Any:
        return f"{self.mark}({await next_(source, info, **kwargs)})"


@strawberry.type
class Wrapped:
    @strawberry.field(extensions=[Around("inner"), Around("outer")])
    def plain(self) -> str:
        return "x"

    @strawberry.field(extensions=[Around("inner"), Around("outer")])
    async def slow(self) -> str:
        return "x"

    @strawberry.field(extensions=[Around("inner"), Around("outer")])
    def asked(self, word: str = "x") -> str:
        return word


@pytest.mark.parametrize("field", ["plain", "slow", "asked"])
async def test_last_extension_is_outermost(field: str) -> None:
    assert (await run(Wrapped, f"{{ {field} }}")).data == {field: "outer(inner(x))"}


async def test_permission_is_checked_before_extensions() -> None:
    @strawberry.type
    class Query:
        @strawberry.field(extensions=[Around("x")], permission_classes=[permission(False)])
        def plain(self) -> str | None:
            raise AssertionError

    assert [message for message, _, _ in errors_of(await run(Query, "{ plain }"))] == ["said False"]
