"""Registration: the mutation `register`."""

from auth.wiring import RegistrationMode, RegistrationPolicy
from tests.api import Api, codes, denials
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


async def test_register_is_refused_if_registration_is_closed(sqlite_api: Api) -> None:
    closed = RegistrationPolicy(RegistrationMode.CLOSED)
    object.__setattr__(sqlite_api.auth, "registration_policy", closed)
    assert codes(await mutate(sqlite_api, "register", FORM)) == ["REGISTRATION_CLOSED"]
