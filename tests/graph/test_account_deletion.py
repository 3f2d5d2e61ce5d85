"""Account deletion: the mutation `deleteAccount`."""

from tests.accounts import ALICE
from tests.api import Api, codes, denials
from tests.graph.payloads import mutate


async def test_delete_account_ends_session_and_sign_in(api: Api, alice: str, admin: str) -> None:
    user_id = await api.id_of(ALICE, admin=admin)
    payload = await mutate(api, "deleteAccount", {"password": ALICE.password}, token=alice)
    assert payload["userId"] == user_id
    assert denials(await api.ask("{ me { id } }", token=alice))[0]["code"] == "UNAUTHENTICATED"
    login = {"username": ALICE.username, "password": ALICE.password}
    assert codes(await mutate(api, "login", login)) == ["INVALID_CREDENTIALS"]
