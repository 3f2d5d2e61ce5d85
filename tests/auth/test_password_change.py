"""Password change: needs the current password, and ends all other sessions."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from models.session import Session
from models.user import User
from tests.accounts import ALICE, BOB
from tests.api import Api, codes, denials
from tests.sessions import CHANGE_PASSWORD, Device

NEW = "quite another phrase of mine"
ALICE_AFTERWARDS = replace(ALICE, password=NEW)


async def change(device: Device, *, current: str = ALICE.password, new: str = NEW) -> Any:
    return await device.change_password(current, new)


async def test_new_password_replaces_the_old_one(api: Api) -> None:
    payload = await change(await Device(api).log_in())
    assert payload == {"user": {"username": "alice"}, "endedSessions": 0, "errors": []}
    assert codes(await api.try_login("alice", ALICE.password)) == ["INVALID_CREDENTIALS"]
    assert await api.log_in(ALICE_AFTERWARDS)


async def test_password_change_ends_all_other_sessions(api: Api) -> None:
    here, there = await Device(api).log_in(), await Device(api).log_in()
    bob = await Device(api).log_in(BOB)
    assert (await change(here))["endedSessions"] == 1
    assert await here.is_signed_in()
    await here.refresh()
    assert not await there.is_signed_in()
    assert codes(await there.try_refresh(there.refresh_token)) == ["INVALID_REFRESH_TOKEN"]
    assert await bob.is_signed_in()
    async with api.auth.db.read() as session:
        reasons = set(await session.scalars(select(Session.revocation_reason)))
    assert reasons == {None, "password_changed"}


async def test_wrong_current_password_changes_nothing(api: Api) -> None:
    here, there = await Device(api).log_in(), await Device(api).log_in()
    payload = await change(here, current="not the one")
    assert payload["errors"] == [{"code": "WRONG_PASSWORD", "field": ["input", "currentPassword"]}]
    assert payload["user"] is None
    assert await there.is_signed_in()
    assert await api.log_in(ALICE)


@pytest.mark.parametrize(
    ("new", "code"),
    [("short", "PASSWORD_TOO_SHORT"), ("i am alice myself", "PASSWORD_TOO_PERSONAL")],
)
async def test_bad_new_password_is_refused_at_its_field(
    sqlite_api: Api, new: str, code: str
) -> None:
    payload = await change(await Device(sqlite_api).log_in(), new=new)
    assert payload["errors"] == [{"code": code, "field": ["input", "newPassword"]}]


async def test_password_change_needs_a_session(sqlite_api: Api) -> None:
    variables = {"input": {"currentPassword": ALICE.password, "newPassword": NEW}}
    result = await sqlite_api.ask(CHANGE_PASSWORD, variables)
    assert denials(result) == [{"code": "UNAUTHENTICATED", "reason": "TOKEN_MISSING"}]


async def test_one_of_two_concurrent_changes_fails(api: Api) -> None:
    device = await Device(api).log_in()
    payloads = await asyncio.gather(
        *(change(device, new=f"a phrase of mine, number {n}") for n in range(4))
    )
    outcomes = sorted(str(codes(payload)) for payload in payloads)
    assert outcomes == ["['WRONG_PASSWORD']"] * 3 + ["[]"]


async def test_password_change_ends_the_sessions_of_concurrent_logins(api: Api) -> None:
    device = await Device(api).log_in()
    results = await asyncio.gather(
        change(device),
        *(api.try_login("alice", ALICE.password) for _ in range(6)),
    )
    assert results[0]["errors"] == []
    tokens = [payload["tokens"]["accessToken"] for payload in results[1:] if payload["tokens"]]
    for token in tokens:
        assert (await api.ask("{ me { id } }", token=token))["data"]["me"] is None


async def test_password_change_ends_concurrently_refreshed_sessions(api: Api) -> None:
    device = await Device(api).log_in()
    others = [await Device(api).log_in() for _ in range(6)]
    results = await asyncio.gather(
        change(device), *(other.try_refresh(other.refresh_token) for other in others)
    )
    for payload in results[1:]:
        if payload["tokens"]:
            token = payload["tokens"]["accessToken"]
            assert (await api.ask("{ me { id } }", token=token))["data"]["me"] is None


async def test_password_change_is_refused_without_a_password(api: Api) -> None:
    device = await Device(api).log_in()
    async with api.auth.db.begin() as tx:
        alice = (await tx.scalars(select(User).where(User.username == "alice"))).one()
        alice.password_hash = None
    assert codes(await change(device, current="")) == ["WRONG_PASSWORD"]
