"""Fields, resolvers, `info`, permissions and field extensions."""

# Resolvers may return values that do not fit their annotations.
# mypy: disable-error-code="no-any-return,no-untyped-def,misc,arg-type,type-arg"
# mypy: disable-error-code="assignment,return-value,union-attr"

import dataclasses
from contextvars import ContextVar
from functools import wraps
from typing import Any

import strawberry
from graphql import GraphQLError
from strawberry.extensions import FieldExtension, ParserCache, SchemaExtension
from strawberry.permission import BasePermission, PermissionExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.exception_handlers import ExceptionHandler
from strawberry.types.field import StrawberryField

from tests.graph.compiled.catalogue.examples import Example, Path, example, see


@strawberry.type
class Leaf:
    word: str = "leaf"


@example
def plain_and_async_resolvers() -> Example:
    @strawberry.type
    class Root:
        @strawberry.field
        def plain(self) -> str:
            return see("plain")

        @strawberry.field
        async def later(self) -> int:
            return see(2)

        @strawberry.field(graphql_type=str)
        def promise(self) -> Any:
            async def give() -> str:
                return see("promise")

            return give()

    return Example(strawberry.Schema(Root), "{ later plain promise __typename }")


@example
def static_class_and_lambda_resolvers() -> Example:
    def by_root(root: Any, info: strawberry.Info) -> str:
        return f"{root} {info.field_name}"

    @strawberry.type
    class Query:
        number: int = strawberry.field(resolver=lambda: 7)
        outside: str = strawberry.field(resolver=by_root)

        @strawberry.field
        @staticmethod
        def static() -> str:
            return "static"

        @strawberry.field
        @classmethod
        def classy(cls) -> str:
            return cls.__name__

    return Example(strawberry.Schema(Query), "{ number outside static classy }")


@example
def parent_and_root_parameters() -> Example:
    @strawberry.type
    class Twig:
        size: int

        @strawberry.field
        def doubled(this: strawberry.Parent["Any"]) -> int:
            return this.size * 2

        @strawberry.field
        def by_root(root) -> int:
            return root.size

        @strawberry.field
        async def with_info(this: strawberry.Parent["Any"], info: strawberry.Info) -> str:
            return f"{this.size} {info.path.as_list()}"

    @strawberry.type
    class Query:
        @strawberry.field
        def twigs(self) -> list[Twig]:
            return [Twig(size=1), Twig(size=2)]

    return Example(strawberry.Schema(Query), "{ twigs { doubled byRoot withInfo } }")


def loud(function: Any) -> Any:
    """A synchronous decorator, as in Strawberry's documentation."""

    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        see((len(args), sorted(kwargs)))
        return function(*args, **kwargs)

    return wrapper


def by_name_only(function: Any) -> Any:
    @wraps(function)
    def wrapper(self: Any, **kwargs: Any) -> Any:
        see(sorted(kwargs))
        return function(self, **kwargs)

    return wrapper


@example
def decorated_resolver_with_info() -> Example:
    @strawberry.type
    class Query:
        @strawberry.field
        @by_name_only
        def word(self, info: strawberry.Info) -> str:
            return info.field_name

        @strawberry.field
        @loud
        def other(self, info: strawberry.Info) -> str:
            return info.field_name

        @strawberry.field
        @loud
        def argued(self, info: strawberry.Info, nth: int = 3) -> str:
            return f"{info.field_name} {nth}"

    return Example(strawberry.Schema(Query), "{ word other argued }")


@example
def decorated_resolver_without_info() -> Example:
    @strawberry.type
    class Query:
        @strawberry.field
        @by_name_only
        def word(self) -> str:
            return "word"

        @strawberry.field
        @loud
        def alone() -> str:
            return "alone"

        @strawberry.field
        @loud
        def only_info(info: strawberry.Info) -> str:
            return info.field_name

    return Example(strawberry.Schema(Query), "{ word alone onlyInfo }")


@example
def decorated_async_resolver() -> Example:
    @strawberry.type
    class Query:
        @strawberry.field
        @loud
        async def word(self, info: strawberry.Info) -> str:
            return info.field_name

    return Example(strawberry.Schema(Query), "{ word }")


@example
def info_of_other_name_and_place() -> Example:
    @strawberry.type
    class Query:
        @strawberry.field
        def word(self, details: strawberry.Info, nth: int = 1) -> str:
            return f"{details.field_name} {nth}"

        @strawberry.field
        def keyword(self, *, info: strawberry.Info) -> str:
            return info.field_name

    return Example(strawberry.Schema(Query), "{ word keyword }")


@example
def info_is_strawberrys() -> Example:
    @strawberry.type
    class Query:
        @strawberry.field
        def plain(self, info: strawberry.Info) -> list[str]:
            copied = dataclasses.replace(info)
            see(type(info) is strawberry.Info)
            see(copied == info)
            see([field.name for field in dataclasses.fields(info)])
            see(type(info._raw_info).__name__)
            see(info._raw_info == copied._raw_info)
            see(len(info._raw_info))
            see(sorted(vars(info)))
            see(repr(info)[:30])
            return info.path.as_list()

    return Example(strawberry.Schema(Query), "{ first: plain plain }")


@example
def everything_in_info() -> Example:
    @strawberry.type
    class Query:
        @strawberry.field
        def leaf(self, info: strawberry.Info) -> Leaf:
            see(info.selected_fields[0].selections[0].name)
            see(info.variable_values)
            see(info.context)
            see(info.root_value)
            see(info.operation.name and info.operation.name.value)
            see(len(info.operation.variable_definitions))
            see(info.python_name)
            see(info.input_extensions)
            see(str(info.return_type))
            see(info.query)
            see(info.get_argument_definition("nothing"))
            see(info.schema is schema)
            return Leaf()

    schema = strawberry.Schema(Query)
    text = "query Named($a: Boolean = false, $b: Boolean = true) {"
    text += " leaf { word @include(if: $b) again: word @skip(if: $a) } }"
    return Example(schema, text, {"a": True}, context={"who": "alice"})


def request_extensions(name: str, *extensions: type[SchemaExtension], path: Path) -> None:
    def build() -> Example:
        @strawberry.type
        class Query:
            @strawberry.field
            def plain(self, info: strawberry.Info) -> str:
                return f"{info.input_extensions}"

            @strawberry.field
            async def argued(self, info: strawberry.Info, nth: int = 1) -> str:
                return f"{info.input_extensions} {nth}"

        schema = strawberry.Schema(Query, extensions=extensions)
        return Example(schema, "{ plain argued }", extensions={"trace": ["a"]}, path=path)

    build.__name__ = name
    example(build)


request_extensions("request_extensions", path=Path.COMPILED)
request_extensions("request_extensions_beside_hooks", ParserCache, path=Path.STRAWBERRY)


@example
def resolver_that_writes_into_info() -> Example:
    @strawberry.type
    class Query:
        @strawberry.field
        def plain(self, info: strawberry.Info) -> list[int]:
            raw: Any = info._raw_info
            see((type(raw.field_nodes).__name__, len(raw.field_nodes), dict(raw.variable_values)))
            raw.field_nodes.append(raw.field_nodes[0])
            raw.variable_values["mine"] = "written"
            raw.fragments["F"] = None
            return [len(raw.field_nodes), len(raw.fragments), len(raw.variable_values)]

    return Example(strawberry.Schema(Query), "{ plain again: plain }")


@example
def context_variables_of_resolvers() -> Example:
    current: ContextVar[str] = ContextVar("current", default="none")

    @strawberry.type
    class Query:
        @strawberry.field
        async def sets(self) -> str:
            current.set("set")
            return current.get()

        @strawberry.field
        async def sees(self) -> str:
            return current.get()

        @strawberry.field
        def sets_at_once(self, word: str) -> str:
            current.set(word)
            return current.get()

    return Example(
        strawberry.Schema(Query),
        '{ sets sees setsAtOnce(word: "now") a: sees b: setsAtOnce(word: "then") }',
    )


@example
def context_variable_of_one_resolver() -> Example:
    current: ContextVar[str] = ContextVar("current", default="none")

    @strawberry.type
    class Query:
        @strawberry.field
        async def sets(self) -> Leaf:
            current.set("set")
            return Leaf(word=current.get())

    return Example(strawberry.Schema(Query), "{ sets { word } }")


@example
def custom_info_class() -> Example:
    class OwnInfo(strawberry.Info):
        @property
        def shouted(self) -> str:
            return self.field_name.upper()

    @strawberry.type
    class Query:
        @strawberry.field
        def word(self, info: OwnInfo) -> str:
            see(type(info).__name__)
            return info.shouted

    config = StrawberryConfig(info_class=OwnInfo)
    return Example(strawberry.Schema(Query, config=config), "{ word }")


@example
def custom_default_resolver() -> Example:
    def get(source: Any, name: str) -> Any:
        return see(source[name] if isinstance(source, dict) else getattr(source, name))

    @strawberry.type
    class Query:
        @strawberry.field(graphql_type=Leaf)
        def leaf(self) -> Any:
            return {"word": "in a dictionary"}

    config = StrawberryConfig(default_resolver=get)
    return Example(strawberry.Schema(Query, config=config), "{ leaf { word } }")


class MaskedField(StrawberryField):
    def get_result(self, source: Any, info: Any, args: Any, kwargs: Any) -> Any:
        value = super().get_result(source, info, args, kwargs)
        return "***" if isinstance(value, str) else value


@example
def field_class_with_get_result() -> Example:
    @strawberry.type
    class Account:
        secret: str = MaskedField(python_name="secret")
        name: str = "alice"

        @strawberry.field
        def plain(self) -> str:
            return "plain"

    @strawberry.type
    class Query:
        @strawberry.field
        def account(self) -> Account:
            return Account(secret="hunter2")

    masked = MaskedField(python_name="computed")(lambda: "hunter2")
    masked.type_annotation = strawberry.annotation.StrawberryAnnotation(str)
    Account.__strawberry_definition__.fields.append(masked)  # type: ignore[attr-defined]
    return Example(strawberry.Schema(Query), "{ account { secret name plain computed } }")


@example
def field_with_get_result_of_its_own() -> Example:
    @strawberry.type
    class Query:
        @strawberry.field
        def leaf(self) -> Leaf:
            return Leaf()

        @strawberry.field
        def word(self) -> str:
            return "word"

    field = Query.__strawberry_definition__.fields[1]  # type: ignore[attr-defined]
    field.get_result = lambda *_, **__: "replaced"
    return Example(strawberry.Schema(Query), "{ word leaf { word } }")


@example
def field_resolve_replaced_after_building() -> Example:
    @strawberry.type
    class Query:
        word: str = "word"

        @strawberry.field
        def leaf(self) -> Leaf:
            return Leaf()

        @strawberry.field
        async def later(self) -> str:
            return "later"

    schema = strawberry.Schema(Query)
    for type_ in ("Query", "Leaf"):
        for name, field in schema._schema.type_map[type_].fields.items():  # type: ignore[attr-defined]
            field.resolve = _traced(name, field.resolve)
    return Example(schema, "{ leaf { word } later }")


def _traced(name: str, resolve: Any) -> Any:
    @wraps(resolve)
    def traced(source: Any, info: Any, **kwargs: Any) -> Any:
        see(f"span {name}")
        return resolve(source, info, **kwargs)

    return traced


@example
def field_resolve_taken_from_another_field() -> Example:
    @strawberry.type
    class Pair:
        one: str = "one"
        other: str = "other"

        @strawberry.field
        def first(self) -> str:
            return "first"

        @strawberry.field
        def second(self) -> str:
            return "second"

    @strawberry.type
    class Query:
        @strawberry.field
        def pair(self) -> Pair:
            return Pair()

    schema = strawberry.Schema(Query)
    fields = schema._schema.type_map["Pair"].fields  # type: ignore[attr-defined]
    fields["one"].resolve = fields["other"].resolve
    fields["first"].resolve = fields["second"].resolve
    return Example(schema, "{ pair { one other first second } }")


# Permissions


def permission(answer: Any, **attributes: Any) -> type[BasePermission]:
    def has_permission(self: Any, source: Any, info: Any, **kwargs: Any) -> Any:
        see((type(info).__name__, sorted(kwargs)))
        return answer

    members = {"message": f"said {answer}", "has_permission": has_permission, **attributes}
    return type(f"Permission{answer}", (BasePermission,), members)


def guarded(name: str, classes: list[type[BasePermission]], **options: Any) -> None:
    def build() -> Example:
        def guard() -> list[Any]:
            return [PermissionExtension([cls() for cls in classes], **options)]

        @strawberry.type
        class Query:
            attribute: str | None = strawberry.field(default="a", extensions=guard())

            @strawberry.field(extensions=guard())
            def plain(self) -> str | None:
                return see("plain")

            @strawberry.field(extensions=guard())
            def words(self) -> list[str]:
                return ["a", "b"]

            @strawberry.field(extensions=guard())
            async def later(self, info: strawberry.Info, nth: int = 1) -> str | None:
                return see(f"later {nth}")

        @strawberry.type
        class Root:
            @strawberry.field
            def query(self) -> Query:
                return Query()

        if options.get("fail_silently"):
            text = "{ query { attribute plain words later(nth: 3) } }"
        else:
            text = "{ query { attribute plain later(nth: 3) } }"
        return Example(strawberry.Schema(Root), text)

    build.__name__ = name
    example(build)


guarded("permission_granted", [permission(True)])
guarded("permission_refused", [permission(False)])
guarded("permissions_in_their_order", [permission(True), permission(False)])
guarded("permission_that_is_no_boolean", [permission("yes")])
guarded("permission_that_is_none", [permission(None)])
guarded("permission_with_extensions", [permission(False, error_extensions={"code": "NO", "x": 1})])
guarded("permission_fails_silently", [permission(False)], fail_silently=True)
guarded("permission_granted_silently", [permission(True)], fail_silently=True)


class Unwelcome(Exception):
    extensions = {"reason": "unwelcome"}  # noqa: RUF012


def _unauthorized(_self: Any) -> None:
    raise Unwelcome("go away")


async def _later(self: Any, source: Any, info: Any, **kwargs: Any) -> bool:
    return see(False)


def _promised(self: Any, source: Any, info: Any, **kwargs: Any) -> Any:
    return _later(self, source, info)


guarded("permission_on_unauthorized", [permission(False, on_unauthorized=_unauthorized)])
guarded("permission_asynchronous", [permission(True, has_permission=_later)])
guarded("permission_error_class", [permission(False, error_class=GraphQLError)])


@example
def permission_classes_on_fields() -> Example:
    @strawberry.type
    class Query:
        @strawberry.field(permission_classes=[permission(True), permission(True)])
        def open(self, info: strawberry.Info) -> str:
            return info.field_name

        @strawberry.field(permission_classes=[permission(False)])
        def shut(self) -> str | None:
            return see("shut")

    return Example(strawberry.Schema(Query), "{ open shut }")


@example
def permission_extension_subclass() -> Example:
    class Counting(PermissionExtension):
        def resolve(self, next_: Any, source: Any, info: Any, **kwargs: Any) -> Any:
            see("counted")
            return super().resolve(next_, source, info, **kwargs)

    @strawberry.type
    class Query:
        @strawberry.field(extensions=[Counting([permission(True)()])])
        def word(self) -> str:
            return "word"

    return Example(strawberry.Schema(Query), "{ word }")


# Field extensions


class Upper(FieldExtension):
    def resolve(self, next_: Any, source: Any, info: Any, **kwargs: Any) -> Any:
        return str(next_(source, info, **kwargs)).upper()


class Named(FieldExtension):
    """Passes `info` by name."""

    def resolve(self, next_: Any, source: Any, info: Any, **kwargs: Any) -> Any:
        return next_(source, info=info, **kwargs)


class OtherSource(FieldExtension):
    """Passes another object, which Strawberry does not give to the resolver."""

    def resolve(self, next_: Any, source: Any, info: Any, **kwargs: Any) -> Any:
        return next_(Leaf(word="another"), info, **kwargs)


class OtherInfo(FieldExtension):
    def resolve(self, next_: Any, source: Any, info: Any, **kwargs: Any) -> Any:
        return next_(source, "other info", **kwargs)


class MoreArguments(FieldExtension):
    def resolve(self, next_: Any, source: Any, info: Any, **kwargs: Any) -> Any:
        return next_(source, info, **kwargs, nth=9)


class Mapped(FieldExtension):
    def map_arguments(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        see(dict(kwargs))
        return {**kwargs, "nth": 5}


class Asynchronous(FieldExtension):
    async def resolve_async(self, next_: Any, source: Any, info: Any, **kwargs: Any) -> Any:
        return see(await next_(source, info, **kwargs))


def extended(name: str, *extensions: Any) -> None:
    def build() -> Example:
        @strawberry.type
        class Tree:
            name: str

            @strawberry.field(extensions=[make() for make in extensions])
            def bare(self) -> str:
                return see(self.name)

            @strawberry.field(extensions=[make() for make in extensions])
            def informed(self, info: strawberry.Info) -> str:
                return see(f"{self.name} {type(info).__name__}")

            @strawberry.field(extensions=[make() for make in extensions])
            def argued(self, nth: int = 1) -> str:
                return see(f"{self.name} {nth}")

        @strawberry.type
        class Query:
            @strawberry.field
            def tree(self) -> Tree | None:
                return Tree(name="oak")

        fields = ["tree { bare }", "a: tree { informed }", "b: tree { argued(nth: 2) }"]
        return Example(strawberry.Schema(Query), "{ " + " ".join(fields) + " }")

    build.__name__ = name
    example(build)


extended("extension_changes_value", Upper)
extended("extension_passes_info_by_name", Named)
extended("extension_passes_another_source", OtherSource)
extended("extension_passes_another_info", OtherInfo)
extended("extension_adds_arguments", MoreArguments)
extended("extension_maps_arguments", Mapped)
extended("extension_asynchronous", Asynchronous)
extended("extensions_in_their_order", Upper, Named, OtherSource)
extended("extension_sync_to_async", Upper, Asynchronous)


# Errors


@example
def errors_with_extensions() -> Example:
    class Coded(Exception):
        extensions = {"code": "OWN", "more": [1]}  # noqa: RUF012

    class Uncoded(GraphQLError):
        pass

    @strawberry.type
    class Query:
        @strawberry.field
        def coded(self) -> str | None:
            raise Coded("coded")

        @strawberry.field
        async def uncoded(self) -> str | None:
            raise Uncoded("uncoded", extensions={"hint": "look"})

        @strawberry.field
        def plain(self) -> str | None:
            raise ValueError("plain")

        @strawberry.field
        def returned(self) -> str | None:
            return ValueError("returned")

    return Example(strawberry.Schema(Query), "{ coded uncoded plain returned }")


@example
def errors_at_places_without_null() -> Example:
    @strawberry.type
    class Twig:
        @strawberry.field
        def must(self) -> str:
            raise ValueError("must")

        @strawberry.field
        def may(self) -> str | None:
            raise ValueError("may")

    @strawberry.type
    class Query:
        @strawberry.field
        def twigs(self) -> list[Twig | None]:
            return [Twig(), Twig()]

        @strawberry.field
        async def twig(self) -> Twig | None:
            return Twig()

    return Example(strawberry.Schema(Query), "{ twigs { may must } twig { may a: must } }")


@example
def exception_handlers() -> Example:
    @strawberry.type
    class Trouble:
        message: str

    class OnValueError(ExceptionHandler[ValueError]):
        exception_types = (ValueError,)
        error_type = Trouble

        def handle(self, exc: ValueError, *, field: Any, info: Any) -> Trouble:
            return Trouble(message=see(str(exc)))

    @strawberry.type
    class Query:
        @strawberry.field
        def risky(self) -> Leaf | Trouble:
            raise ValueError("trouble")

        @strawberry.field
        def sure(self) -> str | None:
            raise ValueError("not handled")

    schema = strawberry.Schema(Query, exception_handlers=[OnValueError()])
    return Example(schema, "{ risky { __typename ... on Trouble { message } } sure }")


@example
def deprecated_and_described_fields() -> Example:
    @strawberry.type
    class Query:
        @strawberry.field(deprecation_reason="old", description="Old.")
        def old(self) -> str:
            return "old"

        @strawberry.field(name="renamed")
        def original(self, nth: int | None = None) -> str:
            return f"renamed {nth}"

    return Example(strawberry.Schema(Query), "{ old renamed(nth: null) }")
