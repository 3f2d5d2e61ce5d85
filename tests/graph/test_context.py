"""The context: the bearer header, the challenge, and the state of an operation."""

from pathlib import Path
from weakref import WeakKeyDictionary

import pytest
import strawberry
from strawberry.dataloader import DataLoader

from postern import Info, Public
from tests.accounts import ALICE
from tests.api import Api, denials, serving
from tests.clock import ManualClock
from tests.conftest import make_settings

MISSING = {"code": "UNAUTHENTICATED", "reason": "TOKEN_MISSING"}
INVALID = {"code": "UNAUTHENTICATED", "reason": "TOKEN_INVALID"}


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_bearer_scheme_is_case_insensitive(sqlite_api: Api, scheme: str) -> None:
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
async def test_invalid_authorization_header_is_denied_with_reason(
    sqlite_api: Api, header: str, denial: dict[str, str]
) -> None:
    reply = await sqlite_api.post("{ me { id } }", headers={"Authorization": header})
    assert denials(reply.json()) == [denial]


async def test_two_authorization_headers_are_refused(sqlite_api: Api) -> None:
    reply = await sqlite_api.http.post(
        "/graphql",
        json={"query": "{ me { id } }"},
        headers=[("Authorization", "Bearer a"), ("Authorization", "Bearer b")],
    )
    assert denials(reply.json()) == [INVALID]


async def test_token_in_url_or_body_is_ignored(sqlite_api: Api) -> None:
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
async def test_reply_has_rfc_6750_challenge(
    sqlite_api: Api, headers: dict[str, str], challenge: str
) -> None:
    reply = await sqlite_api.post("{ me { id } }", headers=headers)
    assert reply.headers["www-authenticate"] == challenge


async def test_public_field_has_no_challenge(sqlite_api: Api) -> None:
    reply = await sqlite_api.post("{ __typename }", headers={"Authorization": "Bearer x"})
    assert "www-authenticate" not in reply.headers


@strawberry.type
class Loaders:
    """Fields that share a DataLoader."""

    @strawberry.field(permission_classes=[Public])
    async def loaded(self, info: Info, key: int) -> list[int] | None:
        batches = info.context.state.setdefault("batches", [])
        loader = info.context.state.get("loader")
        if loader is None:

            async def load(keys: list[int]) -> list[list[int]]:
                batches.append(keys)
                return [keys for _ in keys]

            loader = info.context.state["loader"] = DataLoader(load)
        keys: list[int] = await loader.load(key)
        return keys

    @strawberry.field(permission_classes=[Public])
    def referenced(self, info: Info) -> bool | None:
        by_context = WeakKeyDictionary({info.context: 1})
        info.context.extra = 2  # type: ignore[attr-defined] # as custom code may
        return info.context in by_context


async def test_context_state_is_shared_by_the_fields_of_an_operation(
    sqlite_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    async with serving(make_settings(sqlite_url, tmp_path), clock, queries=[Loaders]) as api:
        for _ in range(2):
            data = await api.data("{ a: loaded(key: 1) b: loaded(key: 2) c: loaded(key: 1) }")
            assert data == {"a": [1, 2], "b": [1, 2], "c": [1, 2]}


async def test_context_allows_attributes_and_weak_references(
    sqlite_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    async with serving(make_settings(sqlite_url, tmp_path), clock, queries=[Loaders]) as api:
        assert await api.data("{ referenced }") == {"referenced": True}
