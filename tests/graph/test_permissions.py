"""Permission classes: which callers pass, and the directives in the SDL."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import strawberry

from auth.permissions import PermissionRegistry
from graph.schema import build_schema
from postern import HasPermission, HasRole, IsAuthenticated, Public
from tests.accounts import ADMIN, ALICE, SUPPORT, Account
from tests.api import Api, serving
from tests.clock import ManualClock
from tests.conftest import make_settings

REGISTRY = PermissionRegistry({"notes:read": "Read."})


@strawberry.type
class Guarded:
    """One root field per permission class."""

    @strawberry.field(permission_classes=[Public])
    def open(self) -> bool | None:
        return True

    @strawberry.field(permission_classes=[IsAuthenticated])
    def known(self) -> bool | None:
        return True

    @strawberry.field(permission_classes=[HasPermission("sessions:revoke")])
    def helpers(self) -> bool | None:
        return True

    @strawberry.field(permission_classes=[HasRole("admin")])
    def admins(self) -> bool | None:
        return True

    @strawberry.field(permission_classes=[HasRole("user"), HasPermission("users:read")])
    def both(self) -> bool | None:
        return True


@pytest.fixture
async def api(sqlite_url: str, tmp_path: Path, clock: ManualClock) -> AsyncIterator[Api]:
    async with serving(make_settings(sqlite_url, tmp_path), clock, queries=[Guarded]) as api:
        yield api


@pytest.mark.parametrize(
    ("account", "passes"),
    [
        (None, {"open"}),
        (ALICE, {"open", "known"}),
        (SUPPORT, {"open", "known", "helpers"}),
        (ADMIN, {"open", "known", "helpers", "admins"}),
    ],
)
async def test_permission_class_admits_the_stated_callers(
    api: Api, account: Account | None, passes: set[str]
) -> None:
    token = await api.log_in(account) if account else None
    result = await api.ask("{ open known helpers admins both }", token=token)
    assert {name for name, value in result["data"].items() if value} == passes


async def test_denial_names_the_required_permission_or_role(api: Api) -> None:
    result = await api.ask("{ admins helpers }", token=await api.log_in(ALICE))
    required = [error["extensions"]["required"] for error in result["errors"]]
    assert required == ["role admin", "sessions:revoke"]


async def test_user_reads_own_account_but_not_others(api: Api) -> None:
    admin = await api.log_in(ADMIN)
    alice, other = await api.id_of(ALICE, admin=admin), await api.id_of(ADMIN, admin=admin)
    query = "query ($a: ID!, $b: ID!) { own: user(id: $a) { id } other: user(id: $b) { id } }"
    variables = {"a": alice, "b": other}
    result = await api.ask(query, variables, token=await api.log_in(ALICE))
    assert result["data"] == {"own": {"id": alice}, "other": None}
    assert (await api.data(query, variables, token=admin))["other"] == {"id": other}


@pytest.mark.parametrize(
    ("field", "directive"),
    [
        ("open", "@public"),
        ("known", "@authenticated"),
        ("helpers", '@requires(permission: "sessions:revoke")'),
        ("admins", '@requiresRole(role: "admin")'),
        ("both", '@requires(permission: "users:read") @requiresRole(role: "user")'),
    ],
)
def test_permission_class_shows_as_directive_in_sdl(field: str, directive: str) -> None:
    sdl = build_schema(REGISTRY, queries=[Guarded]).as_str()
    line = next(line for line in sdl.splitlines() if line.strip().startswith(f"{field}:"))
    for part in directive.split(" @"):
        assert part.removeprefix("@") in line


def test_second_schema_of_a_process_equals_the_first() -> None:
    one, other = (build_schema(REGISTRY, queries=[Guarded]).as_str() for _ in range(2))
    assert one == other


def test_permission_class_is_cached_per_permission() -> None:
    assert HasPermission("users:read") is HasPermission("users:read")
