"""The schema: merging of root types."""

from typing import Any

import pytest
import strawberry

from auth.permissions import PermissionRegistry
from graph.schema import DuplicateField, build_schema
from postern import Public

REGISTRY = PermissionRegistry()


@pytest.mark.parametrize(("kind", "name"), [("queries", "me"), ("mutations", "logoutEverywhere")])
def test_custom_root_field_with_name_of_postern_is_refused(kind: str, name: str) -> None:
    @strawberry.type
    class Own:
        @strawberry.field(name=name, permission_classes=[Public])
        def mine(self) -> int | None:
            return None

    with pytest.raises(DuplicateField, match=rf"{name} is a field of both (postern\.)?graph"):
        build_schema(REGISTRY, **{kind: [Own]})


def test_root_field_of_two_custom_types_is_refused() -> None:
    @strawberry.type
    class One:
        @strawberry.field(permission_classes=[Public])
        def last_note(self) -> int | None:
            return None

    @strawberry.type
    class Other:
        @strawberry.field(name="lastNote", permission_classes=[Public])
        def note(self) -> int | None:
            return None

    with pytest.raises(DuplicateField, match=r"Query\.lastNote"):
        build_schema(REGISTRY, queries=[One, Other])


@strawberry.type
class Notes:
    @strawberry.field(permission_classes=[Public])
    def last_note(self) -> int | None:
        return None


class Undecorated:
    pass


@pytest.mark.parametrize("argument", ["queries", "mutations", "subscriptions"])
@pytest.mark.parametrize(
    ("types", "message"),
    [
        (Notes, r"{} must be a list of classes: pass {}=\[Notes\]"),
        (Notes(), "{} must be a list of classes, not Notes"),
        ([Notes()], r"{} .* an instance of Notes\. Pass the class: {}=\[Notes\]"),
        ([Undecorated], r"{}: Undecorated is not a Strawberry type\. Decorate it"),
    ],
)
def test_schema_argument_of_a_wrong_type_is_refused(
    argument: str, types: Any, message: str
) -> None:
    with pytest.raises(TypeError, match=message.replace("{}", argument)):
        build_schema(REGISTRY, **{argument: types})
