"""Two servers on one database, with and without compilation, give the same replies."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest
from graphql import OperationType
from hypothesis import HealthCheck, event, given, note, settings
from hypothesis import strategies as st

from server.limit_settings import Executor
from tests.accounts import ADMIN, ALICE, AUDITOR
from tests.api import Api, serving
from tests.clock import ManualClock
from tests.conftest import make_settings
from tests.contracts.test_schema_style import SCHEMA, fields_of
from tests.graph.compiled.documents import Pools, Writer
from tests.graph.compiled.test_differential import EXAMPLES

UNKNOWN_ID = "01890000-0000-7000-8000-000000000000"
# Mutations that fail for every caller, because their target does not exist.
REFUSING = (
    *("revokeSession", "verifyEmail", "confirmEmailChange", "refreshTokens"),
    *("setUserRoles", "disableUser", "enableUser", "updateUser", "deleteUser", "deleteInvitation"),
    *("revokeUserSessions", "requirePasswordReset", "updateRole", "deleteRole"),
)
# Mutations that are denied without a token.
GUARDED = sorted(
    fields_of("Mutation").keys() - {"register", "login", "requestPasswordReset", "resetPassword"}
)
# Limits that the random documents do not exceed.
WIDE = {
    "max_tokens": 20_000,
    "max_aliases": 1_000,
    "max_repeats": 1_000,
    "max_directives": 1_000,
    "max_root_fields": 1_000,
    "max_cost": 10**9,
}


class Servers:
    """Both servers, and the tokens of some accounts."""

    def __init__(self, compiled: Api, interpreted: Api) -> None:
        self._both = (compiled, interpreted)
        self._tokens: dict[str, str | None] = {"nobody": None}
        self.pools: dict[str, list[Any]] = {}

    async def prepare(self) -> None:
        api = self._both[0]
        for account in (ALICE, ADMIN, AUDITOR):
            self._tokens[account.username] = await api.log_in(account)
        admin = self._tokens["admin"]
        alice = await api.id_of(ALICE, admin=admin or "")
        page = "{ users(first: 2) { pageInfo { endCursor } } auditEvents { nodes { actorId } } }"
        cursor = (await api.data(page, token=admin))["users"]["pageInfo"]["endCursor"]
        self.pools = {
            "Int": [0, 1, 2, 5, 101, -1],
            "String": ["", "a", "alice", "admin", "session.started", "ü"],
            "ID": [alice, UNKNOWN_ID, "x"],
            "Boolean": [True, False],
            "after": [cursor, "", "x"],
            "before": [cursor, "x"],
        }

    async def replies(self, who: str, body: Mapping[str, Any]) -> list[Any]:
        """Returns status, headers and body of both replies."""
        token = self._tokens[who]
        headers = {"X-Request-Id": "the-request"}
        headers |= {"Authorization": f"Bearer {token}"} if token else {}
        replies = [
            await api.http.post("/graphql", json=body, headers=headers) for api in self._both
        ]
        return [(reply.status_code, sorted(reply.headers.items()), reply.text) for reply in replies]


@pytest.fixture
async def servers(sqlite_url: str, tmp_path: Path, clock: ManualClock) -> AsyncIterator[Servers]:
    wide = make_settings(sqlite_url, tmp_path).model_copy(update=WIDE)
    interpreting = wide.model_copy(update={"executor": Executor.GRAPHQL_CORE})
    async with serving(wide, clock) as one, serving(interpreting, clock) as other:
        servers = Servers(one, other)
        await servers.prepare()
        yield servers


def writer(random: Random, who: str, kind: OperationType, pools: Pools) -> Writer:
    if kind is OperationType.QUERY:
        return Writer(SCHEMA, random, pools)
    # Mutations with an effect would have another result the second time.
    known = {**pools, "ID": [UNKNOWN_ID, "x"]}
    fields = GUARDED if who == "nobody" else REFUSING
    return Writer(SCHEMA, random, known, root_fields={"Mutation": fields})


KINDS = st.sampled_from([OperationType.QUERY, OperationType.QUERY, OperationType.MUTATION])


@settings(
    max_examples=EXAMPLES - EXAMPLES * 2 // 3,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(
    # True random: Hypothesis would choose simple values too often. `room` can shrink.
    random=st.randoms(use_true_random=True),
    room=st.sampled_from([2, 5, 10, 25, 60]),
    who=st.sampled_from(["nobody", "alice", "audrey", "admin"]),
    kind=KINDS,
)
async def test_random_request_gets_the_same_reply_from_both_executors(
    servers: Servers, random: Random, room: int, who: str, kind: OperationType
) -> None:
    writing = writer(random, who, kind, servers.pools)
    writing.room = room
    request = writing.request(kind)
    for variables in request.variables:
        body = {"query": request.text, "operationName": request.name, "variables": variables}
        note(str(body))
        one, other = await servers.replies(who, body)
        event(f"{one[0]} {'errors' in one[2]}")
        assert one == other
        assert one[0] < 500
