"""Device proofs: the cookie that makes a browser a known device."""

from tests.accounts import ALICE, BOB, Account
from tests.api import BASE_URL, Api

LOGIN = """mutation L($username: String!, $password: String!) {
  login(input: {username: $username, password: $password, delivery: COOKIE}) { user { id } }
}"""
NAME = "postern_device_8000"


async def sign_in(api: Api, account: Account, cookie: str = "") -> str:
    """Signs in as a page of the server and returns the value of the device cookie."""
    variables = {"username": account.username, "password": account.password}
    api.http.cookies.clear()
    headers = {"Origin": BASE_URL, "Cookie": f"{NAME}={cookie}"}
    reply = await api.post(LOGIN, variables, headers=headers)
    cookies = [line.partition(";")[0] for line in reply.headers.get_list("set-cookie")]
    return dict(cookie.split("=", 1) for cookie in cookies)[NAME]


async def test_login_by_cookie_stores_a_device_proof(sqlite_api: Api) -> None:
    assert await sign_in(sqlite_api, ALICE)


async def test_device_cookie_keeps_proofs_of_other_users(sqlite_api: Api) -> None:
    alice = await sign_in(sqlite_api, ALICE)
    both = await sign_in(sqlite_api, BOB, cookie=alice)
    assert both.split(".")[1:] == [alice]


async def test_device_cookie_replaces_the_proof_of_the_same_user(sqlite_api: Api) -> None:
    first = await sign_in(sqlite_api, ALICE)
    second = await sign_in(sqlite_api, ALICE, cookie=first)
    assert "." not in second
