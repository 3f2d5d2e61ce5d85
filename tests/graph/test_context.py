"""The bearer header: the one place where a token is looked for."""

import pytest

from tests.api import Api, denials
from tests.people import ALICE

MISSING = {"code": "UNAUTHENTICATED", "reason": "TOKEN_MISSING"}
INVALID = {"code": "UNAUTHENTICATED", "reason": "TOKEN_INVALID"}


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_scheme_is_read_in_any_case(sqlite_api: Api, scheme: str) -> None:
    token = await sqlite_api.log_in(ALICE)
    headers = {"Authorization": f"{scheme} {token}"}
    reply = await sqlite_api.post("{ me { username } }", headers=headers)
    assert reply.json()["data"]["me"] == {"username": "alice"}


@pytest.mark.parametrize(
    ("header", "denial"),
    [
        ("Basic YWxpY2U6eA==", MISSING),
        ("Bearer", INVALID),
        ("Bearer ", INVALID),
        ("", MISSING),
        ("Bearer a b c", INVALID),
    ],
)
async def test_other_headers_are_told_apart(
    sqlite_api: Api, header: str, denial: dict[str, str]
) -> None:
    reply = await sqlite_api.post("{ me { id } }", headers={"Authorization": header})
    assert denials(reply.json()) == [denial]


async def test_two_headers_are_refused(sqlite_api: Api) -> None:
    reply = await sqlite_api.http.post(
        "/graphql",
        json={"query": "{ me { id } }"},
        headers=[("Authorization", "Bearer a"), ("Authorization", "Bearer b")],
    )
    assert denials(reply.json()) == [INVALID]


async def test_a_token_in_the_address_or_the_body_is_not_looked_at(sqlite_api: Api) -> None:
    token = await sqlite_api.log_in(ALICE)
    reply = await sqlite_api.http.post(
        f"/graphql?access_token={token}",
        json={"query": "{ me { id } }", "access_token": token, "token": token},
    )
    assert denials(reply.json()) == [MISSING]


@pytest.mark.parametrize(
    ("headers", "challenge"),
    [
        ({}, "Bearer"),
        (
            {"Authorization": "Bearer x"},
            'Bearer error="invalid_token", error_description="TOKEN_INVALID"',
        ),
    ],
)
async def test_the_reply_challenges_as_rfc_6750_says(
    sqlite_api: Api, headers: dict[str, str], challenge: str
) -> None:
    reply = await sqlite_api.post("{ me { id } }", headers=headers)
    assert reply.headers["www-authenticate"] == challenge


async def test_a_public_field_is_not_challenged(sqlite_api: Api) -> None:
    reply = await sqlite_api.post("{ __typename }", headers={"Authorization": "Bearer x"})
    assert "www-authenticate" not in reply.headers
