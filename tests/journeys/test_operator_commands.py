"""The command line changes accounts and keys of a running server."""

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
    """Runs a command that must succeed, while the server is running."""

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


async def test_account_created_by_the_cli_can_sign_in(postern: Postern, clock: ManualClock) -> None:
    async with serving(load_settings(), clock) as api:
        command = ("user", "create", "--username", "carol", "--password-stdin")
        await postern(*command, stdin=f"{CAROL.password}\n")
        assert await name_of(api, await api.log_in(CAROL)) == "carol"


async def test_account_without_a_password_cannot_sign_in(
    postern: Postern, clock: ManualClock
) -> None:
    await postern("user", "create", "--username", "carol")
    async with serving(load_settings(), clock) as api:
        assert codes(await api.try_login("carol", "")) == ["INVALID_CREDENTIALS"]


async def test_disable_and_enable_take_effect_at_once(postern: Postern, clock: ManualClock) -> None:
    async with serving(load_settings(), clock) as api:
        token = await api.log_in(ALICE)
        await postern("user", "disable", "alice")
        await api.catch_up_with_changes()
        assert await reason_of_denial(api, token) == "USER_DISABLED"
        await postern("user", "enable", "alice")
        await api.catch_up_with_changes()
        assert await name_of(api, await api.log_in(ALICE)) == "alice"


async def test_role_change_takes_effect_at_the_next_request(
    postern: Postern, clock: ManualClock
) -> None:
    ask = "{ users { nodes { username } } }"
    async with serving(load_settings(), clock) as api:
        token = await api.log_in(ALICE)
        (denial,) = denials(await api.ask(ask, token=token))
        assert denial["code"] == "FORBIDDEN"
        await postern("user", "roles", "alice", "user", "admin")
        await api.catch_up_with_changes()
        assert (await api.data(ask, token=token))["users"]["nodes"]


async def test_key_rotation_keeps_tokens_valid(postern: Postern, clock: ManualClock) -> None:
    async with serving(load_settings(), clock) as api:
        token = await api.log_in(ALICE)
        await postern("keys", "rotate")
        assert await name_of(api, token) == "alice"
    async with serving(load_settings(), clock) as api:
        assert await name_of(api, token) == "alice"
        assert len((await api.http.get("/.well-known/jwks.json")).json()["keys"]) == 2


async def test_compromised_key_rotation_invalidates_old_tokens(
    postern: Postern, clock: ManualClock
) -> None:
    async with serving(load_settings(), clock) as api:
        token = await api.log_in(ALICE)
    await postern("keys", "rotate", "--compromised")
    async with serving(load_settings(), clock) as api:
        assert await reason_of_denial(api, token) == "TOKEN_INVALID"
        assert await name_of(api, await api.log_in(ALICE)) == "alice"


async def test_secret_change_keeps_tokens_valid(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(load_settings(), clock) as api:
        token = await api.log_in(ALICE)
    monkeypatch.setenv("POSTERN_SECRET_KEY", f"{NEW_SECRET},{SECRET}")
    async with serving(load_settings(), clock) as api:
        assert await name_of(api, token) == "alice"


async def test_old_secret_can_be_removed_after_the_keys_were_replaced(
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
