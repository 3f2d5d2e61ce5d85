"""An operator looks after a server that runs: at the console, while people use it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from typer.testing import CliRunner

from server.cli import main as cli
from server.environment import load_settings
from server.settings import ConfigurationError
from tests.accounts import ADMIN, ALICE, Account
from tests.api import BASE_URL, Api, codes, denials, serving
from tests.clock import ManualClock

SECRET = "kX9v2mQ7rT4wY8zB3nL6pD1sF5hJ0cGa"
NEW_SECRET = SECRET[::-1]
CAROL = Account("carol", "a word of the operator", "user")

Postern = Callable[..., Coroutine[None, None, str]]


@pytest.fixture(autouse=True)
def production(monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    monkeypatch.setenv("POSTERN_SECRET_KEY", SECRET)
    monkeypatch.setenv("POSTERN_PUBLIC_URL", BASE_URL)
    monkeypatch.setenv("POSTERN_DATABASE_URL", database_url)
    monkeypatch.setenv("POSTERN_BCRYPT_COST", "10")


@pytest.fixture
def postern() -> Postern:
    """Runs a command that must succeed, beside the server."""

    async def run(*arguments: str, stdin: str = "") -> str:
        result = await asyncio.to_thread(CliRunner().invoke, cli.app, arguments, input=stdin)
        assert result.exit_code == 0, result.exception
        return result.output

    return run


async def name_of(api: Api, token: str) -> Any:
    me = (await api.data("{ me { username } }", token=token))["me"]
    return me["username"]


async def reason_of_denial(api: Api, token: str) -> Any:
    (denial,) = denials(await api.ask("{ me { username } }", token=token))
    return denial["reason"]


async def test_an_account_made_at_the_console_can_be_used(
    postern: Postern, clock: ManualClock
) -> None:
    async with serving(load_settings(), clock) as api:
        command = ("user", "create", "--username", "carol", "--password-stdin")
        await postern(*command, stdin=f"{CAROL.password}\n")
        assert await name_of(api, await api.log_in(CAROL)) == "carol"


async def test_an_account_without_a_password_lets_nobody_in(
    postern: Postern, clock: ManualClock
) -> None:
    await postern("user", "create", "--username", "carol")
    async with serving(load_settings(), clock) as api:
        assert codes(await api.try_login("carol", "")) == ["INVALID_CREDENTIALS"]


async def test_disabling_ends_access_at_once_and_enabling_gives_it_back(
    postern: Postern, clock: ManualClock
) -> None:
    async with serving(load_settings(), clock) as api:
        token = await api.log_in(ALICE)
        await postern("user", "disable", "alice")
        await api.catch_up_with_changes()
        assert await reason_of_denial(api, token) == "USER_DISABLED"
        await postern("user", "enable", "alice")
        await api.catch_up_with_changes()
        assert await name_of(api, await api.log_in(ALICE)) == "alice"


async def test_roles_count_from_the_next_request_on(postern: Postern, clock: ManualClock) -> None:
    ask = "{ users { nodes { username } } }"
    async with serving(load_settings(), clock) as api:
        token = await api.log_in(ALICE)
        (denial,) = denials(await api.ask(ask, token=token))
        assert denial["code"] == "FORBIDDEN"
        await postern("user", "roles", "alice", "user", "admin")
        await api.catch_up_with_changes()
        assert (await api.data(ask, token=token))["users"]["nodes"]


async def test_a_rotation_of_the_keys_signs_nobody_out(
    postern: Postern, clock: ManualClock
) -> None:
    async with serving(load_settings(), clock) as api:
        token = await api.log_in(ALICE)
        await postern("keys", "rotate")
        assert await name_of(api, token) == "alice"
    async with serving(load_settings(), clock) as api:
        assert await name_of(api, token) == "alice"
        assert len((await api.http.get("/.well-known/jwks.json")).json()["keys"]) == 2


async def test_after_a_theft_of_the_keys_no_old_token_opens_anything(
    postern: Postern, clock: ManualClock
) -> None:
    async with serving(load_settings(), clock) as api:
        token = await api.log_in(ALICE)
    await postern("keys", "rotate", "--compromised")
    async with serving(load_settings(), clock) as api:
        assert await reason_of_denial(api, token) == "TOKEN_INVALID"
        assert await name_of(api, await api.log_in(ALICE)) == "alice"


async def test_the_secret_is_changed_without_signing_anybody_out(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(load_settings(), clock) as api:
        token = await api.log_in(ALICE)
    monkeypatch.setenv("POSTERN_SECRET_KEY", f"{NEW_SECRET},{SECRET}")
    async with serving(load_settings(), clock) as api:
        assert await name_of(api, token) == "alice"


async def test_the_old_secret_can_go_once_no_key_needs_it(
    postern: Postern, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(load_settings(), clock):
        pass
    monkeypatch.setenv("POSTERN_SECRET_KEY", NEW_SECRET)
    with pytest.raises(ConfigurationError, match="does not decrypt the signing keys"):
        async with serving(load_settings(), clock):
            pass
    monkeypatch.setenv("POSTERN_SECRET_KEY", f"{NEW_SECRET},{SECRET}")
    await postern("keys", "rotate", "--compromised")
    monkeypatch.setenv("POSTERN_SECRET_KEY", NEW_SECRET)
    async with serving(load_settings(), clock) as api:
        assert await name_of(api, await api.log_in(ADMIN)) == "admin"
