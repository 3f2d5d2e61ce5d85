"""Profile: the mutation `updateProfile`."""

from tests.accounts import ALICE
from tests.api import Api
from tests.graph.payloads import mutate


async def test_update_profile_sets_and_removes_full_name(sqlite_api: Api) -> None:
    token = await sqlite_api.log_in(ALICE)
    edit = {"fullName": "Alice Liddell", "version": 1}
    payload = await mutate(sqlite_api, "updateProfile", edit, token=token)
    assert payload["user"] == {"fullName": "Alice Liddell", "version": 2}
    query = "mutation { updateProfile(input: {fullName: null}) { user { fullName } } }"
    data = await sqlite_api.data(query, token=token)
    assert data["updateProfile"]["user"] == {"fullName": None}
