"""The fuzzing schema: any field may fail, decided by a seed."""

# Resolvers may return values that do not fit their annotations.
# mypy: disable-error-code="no-any-return"

from datetime import datetime
from typing import Annotated, Any, Union

import strawberry
from strawberry.permission import PermissionExtension
from strawberry.schema.config import StrawberryConfig

from graph.instants import DATE_TIME
from tests.graph.compiled.chance import Chance, Later
from tests.graph.compiled.guards import Allows, AllowsLater, AllowsOwn, Louder, OnlyLater, Twice
from tests.graph.compiled.lists import some, some_in_some
from tests.graph.compiled.nasty_inputs import LOUD, Echoes, Inner, Loud
from tests.graph.compiled.nasty_leaves import (
    Info,
    Named,
    Node,
    Page,
    Plain,
    here,
    info_of,
    nothing_wanted,
    plain,
    root_wanted,
)


@strawberry.type
class Other(Node, Named):
    """An object of the interfaces, and of the union."""

    other: str | None = "other"


@strawberry.type
class Choosy:
    """A type with its own `is_type_of`."""

    chance: strawberry.Private[Chance]

    @strawberry.field
    def word(self) -> str | None:
        value: str | None = self.chance.at("word").give("chosen")
        return value

    @classmethod
    def is_type_of(cls, value: Any, info: Any) -> Any:
        seed = getattr(getattr(value, "chance", None), "seed", "none")
        chance = info.context.at("is", *info.path.as_list(), seed)
        if chance.happens(chance.failing):
            return chance.give(False)
        return Later(True) if chance.happens(0.3) else isinstance(value, Choosy)


FIRST = strawberry.ID("1")
Either = Annotated[Union["Thing", Other, Choosy], strawberry.union("Either")]


@strawberry.type
class Thing(Node, Named):
    """An object with a field of every kind."""

    size: int

    # Synchronous fields

    @strawberry.field
    def word(self) -> str | None:
        return give(self, "word", "word")

    @strawberry.field
    def sure(self) -> str:
        return give(self, "sure", "sure")

    @strawberry.field
    def placed(self, info: Info) -> int:
        return here(info).give(7)

    @strawberry.field
    def parent(this: strawberry.Parent["Thing"]) -> str | None:  # noqa: N805 - Strawberry allows it
        return give(this, "parent", this.title)

    @strawberry.field
    def parent_and_info(
        this: strawberry.Parent["Thing"],  # noqa: N805 - the same
        info: Info,
    ) -> str | None:
        return give(this, "parent and info", info.field_name)

    @strawberry.field
    def other_name_of_info(self, details: Info) -> str | None:
        return details.path.typename

    @strawberry.field
    def promised(self) -> str | None:
        """A synchronous function that returns an awaitable."""
        promised: Any = Later(give(self, "promised", "promised"))
        return promised

    # Asynchronous fields

    @strawberry.field
    async def later(self) -> str | None:
        return await give_later(self, "later", "later")

    @strawberry.field
    async def surely_later(self, info: Info) -> str:
        return await here(info).give_later("surely later")

    # Objects

    @strawberry.field
    def kid(self) -> "Thing | None":
        return give(self, "kid", thing(self.chance.at("kid")))

    @strawberry.field
    async def kid_later(self) -> "Thing":
        return await give_later(self, "kid later", thing(self.chance.at("kid later")))

    @strawberry.field
    def plain(self) -> Plain:
        return give(self, "plain", plain(self.chance.at("plain")))

    @strawberry.field
    async def plain_later(self) -> Plain | None:
        return await give_later(self, "plain later", plain(self.chance.at("plain later")))

    @strawberry.field
    def choosy(self) -> Choosy | None:
        return give(self, "choosy", Choosy(chance=self.chance.at("choosy")))

    @strawberry.field
    def either(self) -> Either | None:
        return give(self, "either", anything(self.chance.at("either")))

    @strawberry.field
    async def either_later(self) -> Either:
        return await give_later(self, "either later", anything(self.chance.at("either later")))

    @strawberry.field
    def node(self) -> Node | None:
        return give(self, "node", node(self.chance.at("node")))

    @strawberry.field
    async def named(self) -> Named:
        return await give_later(self, "named", node(self.chance.at("named")))

    @strawberry.field
    def echoes(self) -> Echoes:
        return Echoes()

    # Lists

    @strawberry.field
    def kids(self, info: Info, first: int = 3) -> list["Thing"]:
        return some(here(info).at(first), thing)

    @strawberry.field
    async def kids_later(self) -> list["Thing | None"] | None:
        return some(self.chance.at("kids later"), thing)

    @strawberry.field
    def rows(self) -> list[list["Thing"] | None]:
        return some_in_some(self.chance.at("rows"), thing)

    @strawberry.field
    def table(self) -> list[list[int]] | None:
        return some_in_some(self.chance.at("table"), lambda _: 3)

    @strawberry.field
    async def eithers(self) -> list[Either | None]:
        return some(self.chance.at("eithers"), anything)

    @strawberry.field
    def nodes(self) -> list[Node]:
        return some(self.chance.at("nodes"), node)

    @strawberry.field
    def plains(self) -> list[Plain] | None:
        return some(self.chance.at("plains"), plain)

    @strawberry.field
    def words(self) -> list[str]:
        return some(self.chance.at("words"), lambda _: "word")

    @strawberry.field
    def loud_words(self) -> list[Loud | None]:
        return some(self.chance.at("loud"), lambda _: "loud")

    @strawberry.field
    def basket(self, info: Info) -> list[int]:
        """Returns a list that the next call changes."""
        info.context.basket.append(len(info.context.basket))
        return info.context.basket

    @strawberry.field
    def page(self) -> Page["Thing"]:
        kids = [thing(self.chance.at("page", n)) for n in range(2)]
        return Page(items=give(self, "page", kids), first=kids[0])

    @strawberry.field
    def numbers(self) -> Page[int] | None:
        return Page(items=[1, 2], first=give(self, "numbers", 1), number=give(self, "number", 9))

    # Permissions and extensions

    @strawberry.field(permission_classes=[Allows])
    def guarded(self) -> str | None:
        return give(self, "guarded", "guarded")

    @strawberry.field(permission_classes=[Allows, AllowsOwn])
    def guarded_twice(self, info: Info, secret: str | None = None) -> str:
        return here(info).give(f"guarded {secret}")

    @strawberry.field(permission_classes=[Allows])
    async def guarded_and_later(self) -> "Thing | None":
        return await give_later(self, "guarded later", thing(self.chance.at("guarded later")))

    @strawberry.field(permission_classes=[Allows, AllowsLater])
    def guarded_by_later(self) -> str | None:
        return give(self, "guarded by later", "guarded by later")

    @strawberry.field(permission_classes=[AllowsLater])
    async def guarded_later_and_later(self) -> list[str]:
        return some(self.chance.at("all later"), lambda _: "later")

    guarded_attribute: str | None = strawberry.field(
        permission_classes=[Allows, AllowsOwn], default="attribute"
    )

    @strawberry.field(extensions=[PermissionExtension([Allows()], fail_silently=True)])
    def quiet(self) -> list[str] | None:
        return ["quiet"]

    @strawberry.field(extensions=[PermissionExtension([AllowsLater()], fail_silently=True)])
    async def quiet_later(self) -> str | None:
        return "quiet later"

    @strawberry.field(extensions=[Louder("!"), Twice(), Louder("?")])
    def loud(self, info: Info) -> str:
        return here(info).give("loud")

    @strawberry.field(extensions=[Louder("!"), Louder("?")], permission_classes=[Allows])
    async def louder(self) -> str | None:
        return await give_later(self, "louder", "louder")

    @strawberry.field(extensions=[OnlyLater()])
    def made_later(self, n: int = 1) -> str | None:
        return give(self, "made later", f"later {n}")

    # Resolvers outside of the class

    info: str = strawberry.field(resolver=info_of)
    guarded_info: str = strawberry.field(resolver=info_of, permission_classes=[Allows])
    nothing: str = strawberry.field(resolver=nothing_wanted)
    root: str | None = strawberry.field(resolver=root_wanted)

    @strawberry.field
    def info_with_arguments(self, info: Info, inner: Inner | None = None) -> str:
        return info_of(info) + repr(inner)


def give(source: Node, name: str, value: Any) -> Any:
    """Returns a value that does not depend on the path, or a failure."""
    return source.chance.at(name).give(value)


async def give_later(source: Node, name: str, value: Any) -> Any:
    """Returns the same, asynchronously."""
    return await source.chance.at(name).give_later(value)


def thing(chance: Chance) -> Thing:
    return Thing(
        id=chance.at("id").give("1"),
        chance=chance,
        title=chance.at("title").give(chance.among(["title", None])),
        size=chance.at("size").give(3),
    )


def node(chance: Chance) -> Any:
    if chance.happens(0.6):
        return thing(chance)
    return Other(id=strawberry.ID("2"), chance=chance, title=chance.at("title").give("other"))


def anything(chance: Chance) -> Any:
    return Choosy(chance=chance) if chance.happens(0.3) else node(chance)


@strawberry.type
class Query:
    @strawberry.field
    def thing(self, info: Info) -> Thing | None:
        return thing(here(info))

    @strawberry.field
    async def thing_later(self, info: Info) -> Thing | None:
        return await here(info).give_later(thing(here(info)))

    @strawberry.field(permission_classes=[Allows])
    def sure_thing(self, info: Info) -> Thing:
        return here(info).give(thing(here(info)))

    @strawberry.field
    async def things(self, info: Info) -> list[Thing]:
        return some(here(info), thing)

    @strawberry.field
    def node(self, info: Info, id: strawberry.ID = FIRST) -> Node | None:
        return node(here(info).at(id))

    @strawberry.field
    async def anything(self, info: Info) -> list[Either | None] | None:
        return some(here(info), anything)

    echoes: Echoes = strawberry.field(resolver=Echoes)
    info: str = strawberry.field(resolver=info_of)


@strawberry.type
class Mutation:
    @strawberry.mutation
    def put(self, info: Info, n: int = 1) -> list[int]:
        info.context.basket.append(n)
        return info.context.basket

    @strawberry.mutation
    async def put_later(self, info: Info, n: int | None = None) -> list[int] | None:
        await here(info).give_later(None)
        info.context.basket.append(n or 0)
        return info.context.basket

    @strawberry.mutation
    async def make(self, info: Info, at: datetime | None = None) -> Thing | None:
        info.context.basket.append(-1)
        return await here(info).give_later(thing(here(info).at(at)))

    @strawberry.mutation(permission_classes=[AllowsLater])
    def make_surely(self, info: Info) -> Thing:
        info.context.basket.append(-2)
        return here(info).give(thing(here(info)))


NASTY = strawberry.Schema(
    Query,
    Mutation,
    types=[Other],
    config=StrawberryConfig(scalar_map={datetime: DATE_TIME, Loud: LOUD}),
)
