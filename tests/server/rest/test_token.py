"""`POST /token` with the password grant and the refresh grant."""

from typing import Any

import pytest
from sqlalchemy import text

from auth.passwords.hashing import Passwords
from server.settings import Settings, Switch
from tests.accounts import ALICE
from tests.api import Api, serving
from tests.clock import ManualClock
from tests.sessions import Device

GOOD = {"grant_type": "password", "username": "alice", "password": ALICE.password}


async def log_in(api: Api, **changes: Any) -> Any:
    form = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    return await api.http.post("/token", data=form)


async def test_password_grant_returns_a_token_for_users_me(api: Api) -> None:
    reply = await log_in(api)
    assert reply.status_code == 200
    assert reply.json()["token_type"] == "Bearer"
    assert reply.json()["expires_in"] == 1800
    headers = {"Authorization": f"Bearer {reply.json()['access_token']}"}
    me = (await api.http.get("/users/me", headers=headers)).json()
    assert (me["username"], me["roles"]) == ("alice", ["user"])


async def test_token_reply_must_not_be_cached(sqlite_api: Api) -> None:
    reply = await log_in(sqlite_api)
    assert (reply.headers["cache-control"], reply.headers["pragma"]) == ("no-store", "no-cache")


async def test_grant_type_defaults_to_password(sqlite_api: Api) -> None:
    assert (await log_in(sqlite_api, grant_type=None)).status_code == 200


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"password": "wrong"}, "invalid_grant"),
        ({"username": "nobody"}, "invalid_grant"),
        ({"password": "nul\0"}, "invalid_grant"),
        ({"password": None}, "invalid_request"),
        ({"username": None}, "invalid_request"),
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
        ({"grant_type": ""}, "unsupported_grant_type"),
    ],
)
async def test_token_errors_follow_rfc_6749(
    sqlite_api: Api, changes: dict[str, Any], error: str
) -> None:
    reply = await log_in(sqlite_api, **changes)
    assert (reply.status_code, reply.json()["error"]) == (400, error)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", '{"username": "alice"}'),
        ("application/x-www-form-urlencoded", "username=a&username=b&password=c"),
        ("application/x-www-form-urlencoded", b"username=\xff&password=c"),
        ("application/x-www-form-urlencoded", "username=%ff&password=c"),
        ("application/x-www-form-urlencoded", "&".join(f"a{n}=1" for n in range(50))),
    ],
)
async def test_malformed_form_is_an_invalid_request(
    sqlite_api: Api, content_type: str, body: str | bytes
) -> None:
    headers = {"content-type": content_type}
    reply = await sqlite_api.http.post("/token", content=body, headers=headers)
    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_request")


async def test_too_large_form_is_refused(sqlite_api: Api) -> None:
    assert (await log_in(sqlite_api, password="x" * 200_000)).status_code == 413


async def test_disabled_account_gets_no_token(sqlite_api: Api) -> None:
    async with sqlite_api.auth.db.begin() as tx:
        await tx.execute(text("UPDATE users SET disabled_at = CURRENT_TIMESTAMP"))
    assert (await log_in(sqlite_api)).json()["error"] == "invalid_grant"


async def test_full_password_queue_answers_429_with_retry_after(
    sqlite_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Passwords, "_capacity", property(lambda _: 0))
    reply = await log_in(sqlite_api)
    assert (reply.status_code, reply.headers["retry-after"]) == (429, "1")


async def test_password_grant_can_be_turned_off(settings: Settings, clock: ManualClock) -> None:
    off = settings.model_copy(update={"password_grant": Switch.OFF})
    async with serving(off, clock) as api:
        assert (await log_in(api)).json()["error"] == "unsupported_grant_type"


async def test_token_endpoint_does_not_allow_get(sqlite_api: Api) -> None:
    assert (await sqlite_api.http.get("/token")).status_code == 405


@pytest.fixture
async def device(sqlite_api: Api) -> Device:
    return await Device(sqlite_api).log_in()


async def test_refresh_grant_returns_new_tokens(device: Device) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": device.refresh_token}
    reply = await device.api.http.post("/token", data=form)
    assert reply.status_code == 200
    assert reply.json()["refresh_token"] != device.refresh_token
    again = {**form, "refresh_token": reply.json()["refresh_token"]}
    assert (await device.api.http.post("/token", data=again)).status_code == 200


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "refresh_token"}, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, "invalid_grant"),
    ],
)
async def test_failed_refresh_returns_an_oauth_error(
    sqlite_api: Api, form: dict[str, str], error: str
) -> None:
    reply = await sqlite_api.http.post("/token", data=form)
    assert (reply.status_code, reply.json()["error"]) == (400, error)
