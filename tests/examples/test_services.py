"""The example services: accepting and refusing tokens."""

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import jwt
import pytest

from tests.accounts import ADMIN, ALICE, AUDITOR, BOB, Account
from tests.databases import SqliteTemplates
from tests.examples.forgery import FORGERIES, TokenForger
from tests.examples.processes import SERVICES
from tests.examples.services import (
    COOL_DOWN,
    HTTP,
    NODE_SERVICE,
    PYTHON_SERVICE,
    ask,
    call,
    grant_introspection,
    log_in,
    requests_for_keys,
    rotate_keys,
    running_service,
    signing_key,
)
from tests.faults.cluster import one_of_cluster
from tests.node import needs_node, needs_packages_of
from tests.processes import Process

needs_packages = needs_packages_of(SERVICES)
KINDS = [PYTHON_SERVICE, pytest.param(NODE_SERVICE, marks=[needs_node, needs_packages])]
LOGOUT = "mutation { logout { endedSessions } }"
INVALID = 'Bearer error="invalid_token"'


@dataclass(frozen=True)
class Installation:
    """A Postern server, its folder and its database."""

    process: Process
    database_url: str
    folder: Path

    @property
    def url(self) -> str:
        return self.process.base_url


@pytest.fixture(scope="module")
def postern(
    sqlite_templates: SqliteTemplates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("services")
    url = sqlite_templates.new(folder)
    with one_of_cluster(folder, url) as process:
        grant_introspection(process.base_url, BOB, admin=log_in(process.base_url, ADMIN))
        yield Installation(process, url, folder)


@pytest.fixture(scope="module", params=KINDS)
def service(request: pytest.FixtureRequest, postern: Installation) -> Iterator[str]:
    with running_service(request.param, postern.folder, postern.url) as url:
        yield url


@pytest.fixture(scope="module")
def alice(postern: Installation) -> str:
    return log_in(postern.url, ALICE)


def test_valid_token_is_accepted(postern: Installation, service: str, alice: str) -> None:
    me = ask(postern.url, "{ me { id } }", token=alice)["me"]
    assert call(service, alice).json() == {"userId": me["id"]}


def test_scheme_is_case_insensitive(service: str, alice: str) -> None:
    headers = {"Authorization": f"bearer {alice}"}
    assert HTTP.get(f"{service}/whoami", headers=headers).status_code == 200


@pytest.mark.parametrize("authorization", [None, "Basic YWxpY2U6", "Bearer"])
def test_missing_token_gets_a_challenge(service: str, authorization: str | None) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    reply = HTTP.get(f"{service}/whoami", headers=headers)
    assert reply.status_code == 401
    assert reply.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_forged_token_is_refused(
    postern: Installation, service: str, alice: str, forgery: str
) -> None:
    workshop = TokenForger(alice, await signing_key(postern.database_url))
    assert call(service, workshop.signed_again()).status_code == 200
    refused = call(service, FORGERIES[forgery](workshop))
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"].startswith(INVALID)


def test_refresh_token_is_refused_as_access_token(postern: Installation, service: str) -> None:
    form = {"username": ALICE.username, "password": ALICE.password}
    tokens = HTTP.post(f"{postern.url}/token", data=form).json()
    assert call(service, tokens["access_token"]).status_code == 200
    assert call(service, tokens["refresh_token"]).status_code == 401


@pytest.mark.parametrize(
    ("account", "path", "status", "needed"),
    [
        (ALICE, "/reports", 403, 'scope="audit:read"'),
        (AUDITOR, "/reports", 200, ""),
        (AUDITOR, "/settings", 403, "insufficient_scope"),
        (ADMIN, "/settings", 200, ""),
    ],
)
def test_scope_and_role_are_checked(
    postern: Installation, service: str, account: Account, path: str, status: int, needed: str
) -> None:
    reply = call(service, log_in(postern.url, account), path)
    assert reply.status_code == status
    assert needed in reply.headers.get("WWW-Authenticate", "")


def test_ended_session_is_refused_with_introspection_only(
    postern: Installation, service: str
) -> None:
    token = log_in(postern.url, ALICE)
    assert call(service, token, "/reports", "DELETE").status_code == 204
    ask(postern.url, LOGOUT, token=token)
    # Verification alone does not notice it until `exp`.
    assert call(service, token).status_code == 200
    refused = call(service, token, "/reports", "DELETE")
    assert refused.status_code == 401
    assert "The session has ended." in refused.headers["WWW-Authenticate"]


def test_token_of_a_service_is_renewed(postern: Installation, service: str) -> None:
    token = log_in(postern.url, ALICE)
    assert call(service, token, "/reports", "DELETE").status_code == 204
    admin = log_in(postern.url, ADMIN)
    query = "query Find($search: String!) { users(search: $search) { nodes { id } } }"
    bob = ask(postern.url, query, {"search": BOB.username}, admin)["users"]["nodes"][0]["id"]
    end = "mutation End($input: RevokeUserSessionsInput!) {"
    end += " revokeUserSessions(input: $input) { endedSessions } }"
    ask(postern.url, end, {"input": {"userId": bob}}, admin)
    assert call(service, token, "/reports", "DELETE").status_code == 204


def test_token_expires_to_the_second(postern: Installation, service: str) -> None:
    with one_of_cluster(
        postern.folder, postern.database_url, POSTERN_ACCESS_TOKEN_TTL="3"
    ) as brief:
        token = log_in(brief.base_url, ALICE)
        assert call(service, token).status_code == 200
    time.sleep(3)
    assert call(service, token).status_code == 401


def test_token_of_another_issuer_is_refused(
    service: str, sqlite_templates: SqliteTemplates, tmp_path: Path
) -> None:
    with one_of_cluster(tmp_path, sqlite_templates.new(tmp_path)) as other:
        token = log_in(other.base_url, ALICE)
    assert call(service, token).status_code == 401


async def test_unknown_key_ids_do_not_cause_repeated_key_fetches(
    postern: Installation, service: str, alice: str
) -> None:
    workshop = TokenForger(alice, await signing_key(postern.database_url))
    await asyncio.sleep(2 * COOL_DOWN)
    before, started = requests_for_keys(postern.process), time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(call, [service] * 100, [workshop.with_unknown_key_id()] * 100))
    cool_downs = (time.monotonic() - started) / COOL_DOWN
    assert {reply.status_code for reply in replies} == {401}
    assert 1 <= requests_for_keys(postern.process) - before <= 2 + cool_downs


# Key rotation and outages


@pytest.fixture(params=KINDS)
def alone(
    request: pytest.FixtureRequest, sqlite_templates: SqliteTemplates, tmp_path: Path
) -> Iterator[tuple[Installation, str]]:
    """A separate Postern server, and a service that trusts it."""
    url = sqlite_templates.new(tmp_path)
    with (
        one_of_cluster(tmp_path, url) as process,
        running_service(request.param, tmp_path, process.base_url) as service,
    ):
        yield Installation(process, url, tmp_path), service


def kid_of(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


@pytest.mark.soak
async def test_key_rotation_causes_no_refusal(alone: tuple[Installation, str]) -> None:
    postern, service = alone
    before = log_in(postern.url, ALICE)
    assert call(service, before).status_code == 200
    rotate_keys(postern.folder, postern.database_url)
    # Ten minutes later.
    with sqlite3.connect(postern.database_url.removeprefix("sqlite:///")) as db:
        db.execute("UPDATE signing_keys SET active_from = datetime(active_from, '-11 minutes')")
    after = TokenForger(before, await signing_key(postern.database_url)).signed_again()
    assert kid_of(after) != kid_of(before)
    await asyncio.sleep(COOL_DOWN)
    assert call(service, after).status_code == 200
    assert call(service, before).status_code == 200


def test_compromised_key_is_dropped(alone: tuple[Installation, str]) -> None:
    postern, service = alone
    before = log_in(postern.url, ALICE)
    assert call(service, before).status_code == 200
    rotate_keys(postern.folder, postern.database_url, "--compromised")
    after = log_in(postern.url, ALICE)
    time.sleep(COOL_DOWN)
    # The first token with the new key makes the service fetch the keys.
    assert call(service, after).status_code == 200
    assert call(service, before).status_code == 401


async def test_cached_keys_are_used_during_an_outage(alone: tuple[Installation, str]) -> None:
    postern, service = alone
    good = log_in(postern.url, ALICE)
    unknown = TokenForger(good, await signing_key(postern.database_url)).with_unknown_key_id()
    assert call(service, good).status_code == 200
    postern.process.stop()
    await asyncio.sleep(COOL_DOWN)
    away = call(service, unknown)
    assert (away.status_code, away.headers["Retry-After"]) == (503, "5")
    assert call(service, good).status_code == 200
    # Introspection is unavailable, so the service refuses.
    assert call(service, good, "/reports", "DELETE").status_code == 503


def test_service_that_starts_before_postern_waits_for_keys(alone: tuple[Installation, str]) -> None:
    postern, service = alone
    good = log_in(postern.url, ALICE)
    postern.process.stop()
    assert call(service, good).status_code == 503
