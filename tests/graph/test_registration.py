"""Registration: the mutation `register`."""

from pathlib import Path

from auth.wiring import RegistrationMode
from tests.api import Api, codes, denials, serving
from tests.clock import ManualClock
from tests.conftest import make_settings
from tests.graph.payloads import FORM, mutate


async def test_registered_user_can_sign_in(sqlite_api: Api) -> None:
    payload = await mutate(sqlite_api, "register", {**FORM, "fullName": "Carol of the Bells"})
    assert payload["user"]["username"] == "carol"
    login = {"username": "carol", "password": FORM["password"]}
    assert (await mutate(sqlite_api, "login", login))["user"] == {"username": "carol"}


async def test_register_rejects_unknown_input_fields(sqlite_api: Api) -> None:
    query = "mutation R($input: RegisterInput!) { register(input: $input) { user { id } } }"
    for name, value in [("roleIds", []), ("disabled", False), ("emailVerified", True)]:
        result = await sqlite_api.ask(query, {"input": {**FORM, name: value}})
        assert denials(result) == [{"code": "BAD_USER_INPUT"}]


async def test_register_is_refused_if_registration_is_closed(
    sqlite_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    closed = {"registration": RegistrationMode.CLOSED}
    settings = make_settings(sqlite_url, tmp_path).model_copy(update=closed)
    async with serving(settings, clock) as api:
        assert codes(await mutate(api, "register", FORM)) == ["REGISTRATION_CLOSED"]
