"""The `Idempotency-Key` header: valid keys, and the operations that read it."""

import pytest

from graph.idempotency import InvalidIdempotencyKey, parse_idempotency_key
from tests.accounts import ALICE
from tests.api import BASE_URL, Api
from tests.clock import ManualClock
from tests.sessions import REFRESH, Device

KEY = "5a1c8f3e-0000-4000-8000-7d3f1a9b2c4d"


@pytest.mark.parametrize(
    ("header", "key"),
    [
        (KEY, KEY),
        (f'"{KEY}"', KEY),
        (f'  "{KEY}"\t', KEY),
        ("k" * 16, "k" * 16),
        ("k" * 255, "k" * 255),
        (f'"{"k" * 255}"', "k" * 255),
        ("AAECAwQFBgcICQoLDA0ODw==", "AAECAwQFBgcICQoLDA0ODw=="),
        ('"with spaces, and a comma"', "with spaces, and a comma"),
        (r'"escaped \" and \\ inside"', r'escaped " and \ inside'),
    ],
)
def test_idempotency_key_is_read_with_and_without_quotes(header: str, key: str) -> None:
    assert parse_idempotency_key(header.encode()) == key


def test_missing_idempotency_key_is_none() -> None:
    assert parse_idempotency_key(None) is None


@pytest.mark.parametrize(
    "header",
    [
        "",
        '""',
        "k" * 15,
        "k" * 256,
        f'"{"k" * 256}"',
        f'"{"k" * 100_000}"',
        f'"{KEY}',
        f'{KEY}"',
        f"{KEY}, {KEY}",
        f'"{KEY}", "{KEY}"',
        f'"{KEY}";a=1',
        f"{KEY} {KEY}",
        r'"an escape that \is none"',
        '"ends with a backslash\\"',
        f"{KEY}\x00",
        f"{KEY}é",
        f'"{KEY}\n"',
        f"{KEY}\n",
    ],
)
def test_idempotency_key_with_invalid_syntax_is_refused(header: str) -> None:
    with pytest.raises(InvalidIdempotencyKey):
        parse_idempotency_key(header.encode())


async def test_graphql_refresh_with_invalid_key_is_bad_user_input_and_spends_nothing(
    sqlite_api: Api,
) -> None:
    device = await Device(sqlite_api).log_in()
    variables = {"input": {"refreshToken": device.refresh_token}}
    reply = await sqlite_api.post(REFRESH, variables, headers={"Idempotency-Key": "short"})
    assert reply.json()["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT"}
    await device.refresh()


async def test_other_operations_ignore_the_key(sqlite_api: Api) -> None:
    reply = await sqlite_api.post("{ __typename }", headers={"Idempotency-Key": "short"})
    assert reply.json() == {"data": {"__typename": "Query"}}


async def test_token_endpoint_refresh_is_repeated_with_the_key_of_graphql(
    sqlite_api: Api, clock: ManualClock
) -> None:
    form = {"username": ALICE.username, "password": ALICE.password}
    tokens = (await sqlite_api.http.post("/token", data=form)).json()
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    successors = set()
    for header in (KEY, f'"{KEY}"'):
        reply = await sqlite_api.http.post("/token", data=form, headers={"Idempotency-Key": header})
        successors.add(reply.json()["refresh_token"])
        clock.tick(hours=1)
    payload = await Device(sqlite_api).try_refresh(tokens["refresh_token"], key=KEY)
    assert successors == {payload["tokens"]["refreshToken"]}


async def test_token_endpoint_with_invalid_key_is_invalid_request(sqlite_api: Api) -> None:
    device = await Device(sqlite_api).log_in()
    form = {"grant_type": "refresh_token", "refresh_token": device.refresh_token}
    headers = {"Idempotency-Key": "short"}
    reply = await sqlite_api.http.post("/token", data=form, headers=headers)
    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_request")
    assert "16 to 255 visible ASCII characters" in reply.json()["error_description"]
    await device.refresh()


async def test_cookie_refresh_is_repeated_with_the_same_key(
    sqlite_api: Api, clock: ManualClock
) -> None:
    device = await Device(sqlite_api).log_in()
    headers = {
        "Origin": BASE_URL,
        "Cookie": f"postern_refresh_8000={device.refresh_token}",
        "Idempotency-Key": KEY,
    }
    cookies = set()
    for _ in range(2):
        reply = await sqlite_api.post(REFRESH, {"input": {}}, headers=headers)
        sqlite_api.http.cookies.clear()
        cookies.add(reply.headers["set-cookie"].split(";")[0])
        clock.tick(hours=1)
    assert len(cookies) == 1
    assert cookies.pop().startswith("postern_refresh_8000=prt_")
