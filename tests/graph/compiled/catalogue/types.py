"""Types: scalars, enums, lists, unions, interfaces, generics, Relay, federation."""

# Resolvers may return values that do not fit their annotations.
# mypy: disable-error-code="attr-defined,no-any-return,no-untyped-def,misc,arg-type,type-arg"
# mypy: disable-error-code="list-item,return-value"

import base64
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Annotated, Any, Generic, NewType, TypeVar, Union
from uuid import UUID

import pydantic
import strawberry
import strawberry.experimental.pydantic
import strawberry.pydantic
from strawberry import relay
from strawberry.dataloader import DataLoader
from strawberry.scalars import JSON, Base16, Base64
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.name_converter import NameConverter

from tests.graph.compiled.catalogue.examples import Example, example, see

T = TypeVar("T")


@strawberry.type
class Leaf:
    word: str = "leaf"


@strawberry.type
class Twig:
    size: int = 2


@example
def builtin_scalars() -> Example:
    @strawberry.type
    class Query:
        id: strawberry.ID = strawberry.ID("1")
        number: float = 1.5
        whole: int = 3
        truth: bool = True
        word: str = "word"
        day: date = date(2026, 1, 2)
        moment: datetime = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
        hour: time = time(3, 4)
        price: Decimal = Decimal("1.10")
        uuid: UUID = UUID(int=7)
        json: JSON = strawberry.field(default_factory=lambda: {"a": [1, None]})
        sixteen: Base16 = Base16(b"ab")
        sixty_four: Base64 = Base64(b"ab")

    @strawberry.type
    class Root:
        @strawberry.field
        def query(self) -> Query:
            return Query()

    fields = "id number whole truth word day moment hour price uuid json sixteen sixtyFour"
    return Example(strawberry.Schema(Root), f"{{ query {{ {fields} }} }}")


@example
def values_of_the_wrong_type() -> Example:
    @strawberry.type
    class Query:
        @strawberry.field
        def whole(self) -> int | None:
            return "three"

        @strawberry.field
        def number_as_text(self) -> str | None:
            return 5

        @strawberry.field
        def truth_as_text(self) -> str | None:
            return True

        @strawberry.field
        def large(self) -> int | None:
            return 2**40

        @strawberry.field
        def not_a_number(self) -> float | None:
            return float("nan")

        @strawberry.field
        def nothing(self) -> str:
            return None

        @strawberry.field
        def listed(self) -> list[str] | None:
            return "word"

    text = "{ whole numberAsText truthAsText large notANumber listed nothing }"
    return Example(strawberry.Schema(Query), text)


Money = NewType("Money", object)


@example
def custom_scalar_in_scalar_map() -> Example:
    def serialize(value: Any) -> Any:
        return see(f"{value} EUR")

    def parse(value: Any) -> Any:
        return [value]

    @strawberry.type
    class Query:
        @strawberry.field
        def doubled(self, price: Money) -> Money:
            price.append(1)
            return Money(price)

    definition = strawberry.scalar(name="Money", serialize=serialize, parse_value=parse)
    config = StrawberryConfig(scalar_map={Money: definition})
    return Example(strawberry.Schema(Query, config=config), "{ doubled(price: 3) }")


@example
def custom_scalar_literal_is_parsed_each_time() -> Example:
    sold = [0]

    @strawberry.type
    class Query:
        @strawberry.field
        def ticket(self, wanted: Money) -> str:
            sold[0] += 1
            return f"{wanted}"

    definition = strawberry.scalar(
        name="Money",
        serialize=str,
        parse_value=str,
        parse_literal=lambda node, _variables=None: f"{node.value} of {sold[0]}",
    )
    config = StrawberryConfig(scalar_map={Money: definition})
    return Example(strawberry.Schema(Query, config=config), "{ ticket(wanted: 3) }")


@example
def custom_scalar_that_refuses() -> Example:
    def parse(value: Any) -> Any:
        raise ValueError("never")

    def serialize(value: Any) -> Any:
        raise ValueError("cannot be shown")

    @strawberry.type
    class Query:
        @strawberry.field
        def priced(self, price: Money | None = None) -> Money | None:
            return Money(1)

    definition = strawberry.scalar(name="Money", serialize=serialize, parse_value=parse)
    config = StrawberryConfig(scalar_map={Money: definition})
    text = "query ($p: Money) { priced(price: $p) again: priced }"
    return Example(strawberry.Schema(Query, config=config), text, {})


@strawberry.enum
class Colour(Enum):
    RED = "red"
    BLUE = strawberry.enum_value("blue", name="azure", deprecation_reason="no")


class Size(IntEnum):
    SMALL = 1
    LARGE = 2


SizeType = strawberry.enum(Size, name="Size")


@example
def enums() -> Example:
    @strawberry.type
    class Query:
        @strawberry.field
        def colours(self, like: Colour = Colour.RED) -> list[Colour]:
            see(like)
            return [like, Colour.BLUE]

        @strawberry.field
        def size(self, size: SizeType | None = None) -> SizeType | None:  # type: ignore[valid-type]
            return see(size)

        @strawberry.field
        def raw(self) -> Colour | None:
            return "red"

        @strawberry.field
        def wrong(self) -> Colour | None:
            return "green"

    text = "query ($c: Colour!) { colours a: colours(like: azure) b: colours(like: $c)"
    text += " size(size: LARGE) none: size(size: null) raw wrong }"
    return Example(strawberry.Schema(Query), text, {"c": "RED"})


@example
def lists_of_all_kinds() -> Example:
    async def later(value: int) -> int:
        return see(value)

    @strawberry.type
    class Query:
        @strawberry.field
        def tuples(self) -> list[int]:
            return (1, 2)

        @strawberry.field
        def generated(self) -> list[int]:
            return (number for number in (1, 2))

        @strawberry.field
        def awaited(self) -> list[int]:
            return [later(1), 2, later(3)]

        @strawberry.field
        def matrix(self) -> list[list[int | None]]:
            return [[1, None], [2]]

        @strawberry.field
        def broken(self) -> list[int | None]:
            return [1, ValueError("two"), "three"]

        @strawberry.field
        def breaking(self) -> list[int] | None:
            def items() -> Iterator[int]:
                yield 1
                raise ValueError("no more")

            return items()

        @strawberry.field
        def keys(self) -> list[str]:
            return {"a": 1, "b": 2}.keys()

    fields = "tuples generated awaited matrix broken breaking keys"
    return Example(strawberry.Schema(Query), f"{{ {fields} }}")


@example
def asynchronous_generator_as_list() -> Example:
    @strawberry.type
    class Query:
        @strawberry.field(graphql_type=list[int])
        def streamed(self) -> Any:
            async def items() -> AsyncIterator[int]:
                for number in (1, 2):
                    yield see(number)

            return items()

        @strawberry.field(graphql_type=list[int] | None)
        def broken(self) -> Any:
            async def items() -> AsyncIterator[int]:
                yield 1
                raise ValueError("broken")

            return items()

    return Example(strawberry.Schema(Query), "{ streamed broken }")


Either = Annotated[Leaf | Twig, strawberry.union("Either", description="One of both.")]


@example
def unions() -> Example:
    @strawberry.type
    class Query:
        @strawberry.field
        def either(self, twig: bool = False) -> Either:
            return Twig() if twig else Leaf()

        @strawberry.field
        async def many(self) -> list[Either | None]:
            return [Leaf(), None, Twig()]

        @strawberry.field
        def stranger(self) -> Either | None:
            return object()

        @strawberry.field
        def number(self) -> Either | None:
            return 5

    parts = "__typename ... on Leaf { word } ... on Twig { size }"
    text = "{ either { ...P } twig: either(twig: true) { ...P } many { ...P } stranger { ...P } }"
    return Example(strawberry.Schema(Query), f"{text} fragment P on Either {{ {parts} }}")


@strawberry.interface
class Named:
    name: str

    @strawberry.field
    def initial(self) -> str:
        return self.name[0]


@strawberry.type
class Cat(Named):
    lives: int = 9


@strawberry.type
class Dog(Named):
    @strawberry.field
    async def barks(self) -> bool:
        return True

    @strawberry.field
    def initial(self) -> str:
        return "D"


@example
def interfaces() -> Example:
    @strawberry.type
    class Query:
        @strawberry.field
        def animals(self) -> list[Named]:
            return [Cat(name="Tom"), Dog(name="Rex")]

        @strawberry.field
        def cat(self) -> Cat:
            return Cat(name="Tom")

        @strawberry.field
        def bare(self) -> Named | None:
            return Named(name="nobody")

        @strawberry.field
        def wrong(self) -> Cat | None:
            return Dog(name="Rex")

    text = "{ animals { __typename name initial ... on Cat { lives } ... on Dog { barks } }"
    text += (
        " cat { lives ...N } bare { name } wrong { lives } } fragment N on Named { name initial }"
    )
    return Example(strawberry.Schema(Query, types=[Cat, Dog]), text)


@example
def interface_that_resolves_its_type() -> Example:
    @strawberry.interface
    class Shape:
        sides: int

        @classmethod
        def resolve_type(cls, obj: Any, info: Any, type_: Any) -> str:
            return see("Square" if obj["sides"] == 4 else "Other")

    @strawberry.type
    class Square(Shape):
        @classmethod
        def is_type_of(cls, obj: Any, info: Any) -> bool:
            return True

        @strawberry.field
        def area(self) -> int:
            return 1

    @strawberry.type
    class Query:
        @strawberry.field
        def shapes(self) -> list[Shape | None]:
            return [{"sides": 4}, {"sides": 5}]

    config = StrawberryConfig(default_resolver=lambda source, name: source[name])
    schema = strawberry.Schema(Query, types=[Square], config=config)
    return Example(schema, "{ shapes { sides ... on Square { area } } }")


@example
def type_that_says_what_it_is() -> Example:
    @strawberry.type
    class Row:
        word: str

        @classmethod
        def is_type_of(cls, obj: Any, info: Any) -> bool:
            see(info.field_name)
            return obj.word != "wrong"

    @strawberry.type
    class Query:
        @strawberry.field
        def row(self) -> Row:
            return Row(word="right")

        @strawberry.field
        def rows(self) -> list[Row | None]:
            return [Row(word="right"), Row(word="wrong")]

    return Example(strawberry.Schema(Query), "{ row { word } rows { word } }")


@example
def generics() -> Example:
    @strawberry.type
    class Box(Generic[T]):
        content: T

        @strawberry.field
        def contents(self) -> list[T]:
            return [self.content]

    @strawberry.type
    class Query:
        @strawberry.field
        def numbers(self) -> Box[int]:
            return Box(content=1)

        @strawberry.field
        def leaves(self) -> Box[Leaf]:
            return Box(content=Leaf())

        @strawberry.field
        def any(self, leaf: bool) -> Box[int] | Box[str]:
            return Box(content="word" if leaf else 1)

    text = "{ numbers { content contents } leaves { content { word } contents { word } }"
    text += " any(leaf: false) { __typename ... on IntBox { content } } }"
    return Example(strawberry.Schema(Query), text)


@strawberry.type
class Tree:
    name: str

    @strawberry.field
    def kids(
        self,
    ) -> list[Annotated["Tree", strawberry.lazy("tests.graph.compiled.catalogue.types")]]:
        return [Tree(name=self.name + "'")]


@example
def lazy_types() -> Example:
    @strawberry.type
    class Query:
        @strawberry.field
        def tree(self) -> Tree:
            return Tree(name="oak")

    return Example(strawberry.Schema(Query), "{ tree { name kids { name kids { name } } } }")


@example
def private_fields() -> Example:
    @strawberry.type
    class Person:
        name: str
        age: strawberry.Private[int]

        @strawberry.field
        def older(self) -> int:
            return self.age + 1

    @strawberry.type
    class Query:
        @strawberry.field
        def person(self) -> Person:
            return Person(name="alice", age=5)

    return Example(strawberry.Schema(Query), "{ person { name older } }")


@example
def dataloaders() -> Example:
    @strawberry.type
    class Row:
        id: int

        @strawberry.field
        async def label(self, info: strawberry.Info) -> str:
            loaded: str = await info.context().load(self.id)
            return loaded

    @strawberry.type
    class Query:
        @strawberry.field
        def rows(self) -> list[Row]:
            return [Row(id=n) for n in range(4)]

    loaders: list[DataLoader[int, str]] = []

    def loader() -> DataLoader[int, str]:
        async def load(keys: list[int]) -> list[str]:
            see(list(keys))
            return [f"row {key}" for key in keys]

        if not loaders:
            loaders.append(DataLoader(load))
        return loaders[0]

    return Example(strawberry.Schema(Query), "{ rows { id label } }", context=loader)


@strawberry.type
class Fruit(relay.Node):
    code: relay.NodeID[int]
    name: str

    @classmethod
    def resolve_nodes(cls, *, info: Any, node_ids: Iterable[str], required: bool = False) -> Any:
        return [see(Fruit(code=int(node_id), name=f"fruit {node_id}")) for node_id in node_ids]


def relay_example(name: str, text: str, **config: Any) -> None:
    def build() -> Example:
        @strawberry.type
        class Query:
            node: relay.Node = relay.node()
            nodes: list[relay.Node] = relay.node()

            @relay.connection(relay.ListConnection[Fruit])
            def fruits(self) -> Iterable[Fruit]:
                return [Fruit(code=n, name=f"fruit {n}") for n in range(5)]

        schema = strawberry.Schema(Query, config=StrawberryConfig(**config))
        return Example(schema, text)

    build.__name__ = name
    example(build)


PAGE = "{ edges { cursor node { id name } } pageInfo { hasNextPage endCursor } } }"
FIRST = base64.b64encode(b"Fruit:1").decode()

relay_example("relay_first", "{ fruits(first: 2) " + PAGE)
relay_example("relay_last", "{ fruits(last: 2) " + PAGE)
relay_example("relay_all_of_too_many", "{ fruits " + PAGE, relay_max_results=3)
relay_example("relay_more_than_allowed", "{ fruits(first: 9) " + PAGE, relay_max_results=3)
relay_example("relay_node", f'{{ node(id: "{FIRST}") {{ id ... on Fruit {{ name }} }} }}')
relay_example("relay_nodes", f'{{ nodes(ids: ["{FIRST}"]) {{ __typename id }} }}')
relay_example("relay_wrong_id", '{ node(id: "wrong") { id } }')


def configured(name: str, text: str, **config: Any) -> None:
    def build() -> Example:
        @strawberry.type
        class Query:
            @strawberry.field
            def long_name(self, other_name: int = 1) -> str:
                return f"{other_name}"

            @strawberry.field
            def long_leaf(self) -> Leaf:
                return Leaf()

        return Example(strawberry.Schema(Query, config=StrawberryConfig(**config)), text)

    build.__name__ = name
    example(build)


class Prefixed(NameConverter):
    def from_field(self, field: Any) -> str:
        return "my_" + super().from_field(field)


configured(
    "camel_case_off", "{ long_name(other_name: 2) long_leaf { word } }", auto_camel_case=False
)
configured(
    "name_converter",
    "{ my_longName(otherName: 2) my_longLeaf { my_word } }",
    name_converter=Prefixed(),
)
configured("sorted_schema", "{ longName longLeaf { word } __typename }", sort_schema=True)
configured("suggestions_disabled", "{ longName }", disable_field_suggestions=True)


@example
def federation_entities() -> Example:
    @strawberry.federation.type(keys=["id"])
    class Product:
        id: strawberry.ID
        name: str = "nothing"

        @classmethod
        async def resolve_reference(cls, info: strawberry.Info, id: strawberry.ID) -> "Any":
            see(info.field_name)
            return cls(id=id, name=f"product {id}")

    @strawberry.federation.type(keys=["sku"])
    class Part:
        sku: str

    @strawberry.type
    class Query:
        word: str = "word"

    schema = strawberry.federation.Schema(Query, types=[Product, Part])
    text = "query ($r: [_Any!]!) { _service { __typename } _entities(representations: $r) {"
    text += " __typename ... on Product { id name } ... on Part { sku } } }"
    wanted = [{"__typename": "Product", "id": "1"}, {"__typename": "Part", "sku": "a"}]
    return Example(schema, text, {"r": [dict(one) for one in wanted] * 1})


@example
def federation_entities_in_the_document() -> Example:
    @strawberry.federation.type(keys=["sku"])
    class Part:
        sku: str

    schema = strawberry.federation.Schema(types=[Part])
    text = '{ _entities(representations: [{__typename: "Part", sku: "a"}]) {'
    return Example(schema, text + " ... on Part { sku } } }")


@example
def union_in_a_union_and_generic_edges() -> Example:
    @strawberry.type
    class Edge(Generic[T]):
        node: T

    @strawberry.type
    class Query:
        @strawberry.field
        def edges(self) -> list[Union[Edge[Leaf], Edge[Twig]]]:  # noqa: UP007
            return [Edge(node=Leaf()), Edge(node=Twig())]

    text = "{ edges { __typename ... on LeafEdge { node { word } }"
    return Example(strawberry.Schema(Query), text + " ... on TwigEdge { node { size } } } }")


@example
def durations_as_own_scalar() -> Example:
    definition = strawberry.scalar(
        name="Duration",
        serialize=lambda value: value.total_seconds(),
        parse_value=lambda value: timedelta(seconds=value),
    )

    @strawberry.type
    class Query:
        @strawberry.field
        def later(self, by: timedelta = timedelta(seconds=5)) -> timedelta:
            return by * 2

    config = StrawberryConfig(scalar_map={timedelta: definition})
    text = "query ($d: Duration! = 3) { later a: later(by: $d) b: later(by: 7) }"
    return Example(strawberry.Schema(Query, config=config), text)


class Row:
    """An object of another library."""

    word = "cast"
    size = 3


@example
def objects_that_are_cast() -> Example:
    @strawberry.type
    class Query:
        @strawberry.field
        def either(self) -> list[Either]:
            return [strawberry.cast(Leaf, Row()), strawberry.cast(Twig, Row())]

        @strawberry.field
        def leaf(self) -> Leaf:
            return Row()

    text = "{ either { __typename ... on Leaf { word } ... on Twig { size } } leaf { word } }"
    return Example(strawberry.Schema(Query), text)


class Answering:
    """An object with any attribute, also `__await__`, such as a proxy."""

    def __getattr__(self, name: str) -> str:
        return name


@example
def objects_that_have_any_attribute() -> Example:
    @strawberry.type
    class Query:
        @strawberry.field
        def leaf(self) -> Leaf | None:
            return Answering()

        @strawberry.field
        def leaves(self) -> list[Leaf | None]:
            return [Answering(), Leaf()]

    return Example(strawberry.Schema(Query), "{ leaf { word } leaves { word } }")


@example
def pydantic_types() -> Example:
    class Person(pydantic.BaseModel):
        name: str
        age: int = 3

    @strawberry.experimental.pydantic.type(model=Person)
    class PersonType:
        name: strawberry.auto
        age: strawberry.auto

        @strawberry.field
        def older(self) -> int:
            return self.age + 1

    @strawberry.experimental.pydantic.input(model=Person)
    class PersonInput:
        name: strawberry.auto
        age: strawberry.auto

    @strawberry.type
    class Query:
        @strawberry.field
        def person(self, person: PersonInput) -> PersonType:
            model = person.to_pydantic()
            return PersonType.from_pydantic(model)

        @strawberry.field
        def raw(self) -> PersonType:
            return Person(name="raw")

    text = "query ($p: PersonInput!) { person(person: $p) { name age older }"
    text += ' b: person(person: {name: "b"}) { age } raw { name older } }'
    return Example(strawberry.Schema(Query), text, {"p": {"name": "a", "age": 9}})


@example
def pydantic_models_as_types() -> Example:
    @strawberry.pydantic.type
    class Person(pydantic.BaseModel):
        name: str
        age: int = 3

        @strawberry.pydantic.field
        def older(self) -> int:
            return self.age + 1

    @strawberry.pydantic.input
    class Wanted(pydantic.BaseModel):
        name: str = pydantic.Field(min_length=2)

    @strawberry.type
    class Query:
        @strawberry.field
        def person(self, wanted: Wanted) -> Person | None:
            return Person(name=wanted.name)

    text = "query ($w: Wanted!) { person(wanted: $w) { name age older }"
    text += ' short: person(wanted: {name: "a"}) { name } }'
    return Example(strawberry.Schema(Query), text, {"w": {"name": "alice"}})
