"""The cookie of the refresh token: only pages of allowed origins can use it."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from graph.cookies import CookiePolicy
from tests.accounts import ALICE, BOB
from tests.api import BASE_URL, Api, serving
from tests.clock import ManualClock
from tests.conftest import make_settings

LOGIN = """mutation L($password: String!) {
  login(input: {username: "alice", password: $password, delivery: COOKIE}) {
    tokens { accessToken refreshToken }
  }
}"""
REFRESH = "mutation { refreshTokens(input: {}) { tokens { refreshToken } errors { code } } }"
LOGOUT = "mutation { logout { endedSessions } }"
NAME = "postern_refresh_8000"
OURS = {"Origin": BASE_URL}


async def log_in(api: Api) -> Any:
    return await api.post(LOGIN, {"password": ALICE.password}, headers=OURS)


def cookie_of(reply: Any) -> dict[str, str]:
    """The attributes of the Set-Cookie header; flags have no value."""
    parts = (part.partition("=") for part in reply.headers["set-cookie"].split("; "))
    return {name: value for name, _, value in parts}


async def refresh(api: Api, cookie: str, **headers: str) -> Any:
    given = {"Cookie": f"{NAME}={cookie}", **headers}
    api.http.cookies.clear()
    return await api.post(REFRESH, headers=given)


async def test_login_sets_httponly_cookie_and_returns_no_refresh_token(sqlite_api: Api) -> None:
    reply = await log_in(sqlite_api)
    cookie = cookie_of(reply)
    assert cookie[NAME].startswith("prt_")
    assert (cookie["SameSite"], cookie["Path"]) == ("Strict", "/")
    assert "HttpOnly" in cookie
    assert reply.json()["data"]["login"]["tokens"]["refreshToken"] is None
    assert cookie[NAME] not in reply.text


async def test_refresh_uses_the_cookie(sqlite_api: Api) -> None:
    cookie = cookie_of(await log_in(sqlite_api))[NAME]
    reply = await refresh(sqlite_api, cookie, **OURS)
    assert reply.json()["data"]["refreshTokens"] == {"tokens": {"refreshToken": None}, "errors": []}
    assert cookie_of(reply)[NAME] != cookie


@pytest.mark.parametrize("headers", [{}, {"Origin": "https://evil.example"}, {"Origin": "null"}])
async def test_page_of_other_origin_cannot_use_the_cookie(
    sqlite_api: Api, headers: dict[str, str]
) -> None:
    cookie = cookie_of(await log_in(sqlite_api))[NAME]
    reply = await refresh(sqlite_api, cookie, **headers)
    errors = reply.json()["data"]["refreshTokens"]["errors"]
    assert errors == [{"code": "INVALID_REFRESH_TOKEN"}]
    # The cookie is still valid, so the reply must not remove it.
    assert "set-cookie" not in reply.headers
    assert (await refresh(sqlite_api, cookie, **OURS)).json()["data"]["refreshTokens"]["tokens"]


async def test_invalid_cookie_is_cleared(sqlite_api: Api) -> None:
    reply = await refresh(sqlite_api, "prt_dead", **OURS)
    assert (cookie_of(reply)[NAME], cookie_of(reply)["Max-Age"]) == ("", "0")


async def test_logout_uses_the_cookie(sqlite_api: Api) -> None:
    cookie = cookie_of(await log_in(sqlite_api))[NAME]
    sqlite_api.http.cookies.clear()
    given = {"Cookie": f"{NAME}={cookie}"}
    foreign = await sqlite_api.post(LOGOUT, headers={**given, "Origin": "https://evil.example"})
    assert foreign.json()["data"] == {"logout": None}
    reply = await sqlite_api.post(LOGOUT, headers={**given, **OURS})
    assert reply.json()["data"] == {"logout": {"endedSessions": 1}}
    assert cookie_of(reply)["Max-Age"] == "0"
    again = await refresh(sqlite_api, cookie, **OURS)
    assert again.json()["data"]["refreshTokens"]["tokens"] is None


async def log_in_bob(api: Api) -> str:
    """Signs Bob in from the same browser and returns the cookie."""
    reply = await api.post(
        LOGIN.replace("alice", BOB.username), {"password": BOB.password}, headers=OURS
    )
    api.http.cookies.clear()
    return cookie_of(reply)[NAME]


@pytest.mark.parametrize("mutation", ["logout", "logoutEverywhere"])
async def test_logout_with_token_keeps_cookie_of_another_user(
    sqlite_api: Api, mutation: str
) -> None:
    token, cookie = await sqlite_api.log_in(ALICE), await log_in_bob(sqlite_api)
    headers = {"Cookie": f"{NAME}={cookie}", **OURS}
    query = f"mutation {{ {mutation} {{ endedSessions }} }}"
    reply = await sqlite_api.post(query, headers=headers, token=token)
    assert reply.json()["data"] == {mutation: {"endedSessions": 1}}
    assert "set-cookie" not in reply.headers
    assert (await refresh(sqlite_api, cookie, **OURS)).json()["data"]["refreshTokens"]["tokens"]


async def test_revoked_token_is_not_replaced_by_cookie_of_another_user(
    sqlite_api: Api,
) -> None:
    token, cookie = await sqlite_api.log_in(ALICE), await log_in_bob(sqlite_api)
    await sqlite_api.data(LOGOUT, token=token)
    headers = {"Cookie": f"{NAME}={cookie}", **OURS}
    reply = await sqlite_api.post(LOGOUT, headers=headers, token=token)
    assert reply.json()["errors"][0]["extensions"]["reason"] == "SESSION_REVOKED"
    assert (await refresh(sqlite_api, cookie, **OURS)).json()["data"]["refreshTokens"]["tokens"]


async def test_forged_cookie_is_token_invalid(sqlite_api: Api) -> None:
    headers = {"Cookie": f"{NAME}=prt_x; broken", **OURS}
    result = (await sqlite_api.post(LOGOUT, headers=headers)).json()
    assert result["errors"][0]["extensions"]["reason"] == "TOKEN_INVALID"


async def test_cookie_over_https_has_host_prefix() -> None:
    policy = CookiePolicy(secure=True, allowed_origins=frozenset())
    line = policy.write("prt_x", timedelta(days=1))
    assert line.startswith("__Host-postern_refresh=prt_x; Path=/; Max-Age=86400;")
    assert line.endswith("; Secure")


@pytest.mark.parametrize(
    ("port", "secure", "name"),
    [
        (None, True, "__Host-postern_refresh"),
        (8443, True, "__Host-postern_refresh_8443"),
        (None, False, "postern_refresh"),
        (3000, False, "postern_refresh_3000"),
    ],
)
def test_cookie_name_contains_the_port(port: int | None, secure: bool, name: str) -> None:
    policy = CookiePolicy(secure=secure, allowed_origins=frozenset(), port=port)
    assert policy.write("prt_x", timedelta(days=1)).startswith(f"{name}=prt_x;")
    assert policy.clear().startswith(f"{name}=;")


async def test_cookies_of_two_servers_on_one_host_do_not_collide(
    sqlite_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    # A browser sends its cookies to every port of a host.
    browser: dict[str, str] = {}
    settings = make_settings(sqlite_url, tmp_path)
    for port in (8000, 8001, 8000, 8001):
        here = settings.model_copy(update={"port": port})
        origin = {"Origin": f"http://localhost:{port}"}
        async with serving(here, clock) as api:
            api.http.cookies.clear()
            sent = "; ".join(f"{name}={value}" for name, value in browser.items())
            query = REFRESH if len(browser) == 2 else LOGIN
            variables = None if len(browser) == 2 else {"password": ALICE.password}
            reply = await api.post(query, variables, headers={**origin, "Cookie": sent})
            (payload,) = reply.json()["data"].values()
            assert payload["tokens"]
            name, _, value = reply.headers["set-cookie"].partition(";")[0].partition("=")
            browser[name] = value
    assert browser.keys() == {"postern_refresh_8000", "postern_refresh_8001"}


@pytest.mark.parametrize("typed", ["x", ""])
async def test_refresh_with_token_in_input_never_uses_the_cookie(
    sqlite_api: Api, typed: str
) -> None:
    # An injected script could read the new token in the body.
    cookie = cookie_of(await log_in(sqlite_api))[NAME]
    query = f"""mutation {{
      refreshTokens(input: {{refreshToken: "{typed}"}}) {{
        tokens {{ refreshToken }} errors {{ code }}
      }}
    }}"""
    headers = {"Cookie": f"{NAME}={cookie}", **OURS}
    sqlite_api.http.cookies.clear()
    reply = await sqlite_api.post(query, headers=headers)
    payload = reply.json()["data"]["refreshTokens"]
    assert payload == {"tokens": None, "errors": [{"code": "INVALID_REFRESH_TOKEN"}]}
    assert "set-cookie" not in reply.headers
