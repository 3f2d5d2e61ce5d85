"""Account export: the mutation `exportAccount`."""

import json

from tests.accounts import ALICE
from tests.api import Api
from tests.graph.payloads import mutate


async def test_export_account_returns_json_without_secrets(sqlite_api: Api) -> None:
    token = await sqlite_api.log_in(ALICE)
    text = (await mutate(sqlite_api, "exportAccount", token=token))["document"]
    document = json.loads(text)
    assert document["account"]["username"] == ALICE.username
    assert document["sessions"]
    assert "password_hash" not in text
