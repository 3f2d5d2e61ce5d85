"""Sign-out: the mutation `logout`."""

from tests.accounts import ALICE
from tests.api import Api, denials
from tests.graph.payloads import mutate


async def test_logout_revokes_the_access_token(api: Api, alice: str) -> None:
    assert (await mutate(api, "logout", token=alice))["endedSessions"] == 1
    result = await api.ask("{ me { id } }", token=alice)
    assert denials(result) == [{"code": "UNAUTHENTICATED", "reason": "SESSION_REVOKED"}]


async def test_logout_does_not_end_other_sessions(api: Api, alice: str) -> None:
    other = await api.log_in(ALICE)
    await mutate(api, "logout", token=alice)
    assert await api.data("{ me { id } }", token=other)
