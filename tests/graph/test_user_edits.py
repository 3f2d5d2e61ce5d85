"""User edits: create and update users."""

from tests.accounts import ALICE
from tests.api import Api, codes, denials
from tests.graph.payloads import FORM, mutate, role_ids


async def test_admin_creates_users_with_and_without_password(api: Api, admin: str) -> None:
    form = {**FORM, "roleIds": await role_ids(api, "support", token=admin)}
    payload = await mutate(api, "createUser", form, token=admin)
    assert payload["user"]["roles"] == [{"name": "support"}]
    without_password = {"username": "dora"}
    await mutate(api, "createUser", without_password, token=admin)
    login = await mutate(api, "login", {"username": "dora", "password": ""})
    assert codes(login) == ["INVALID_CREDENTIALS"]


async def test_update_with_old_version_is_refused(api: Api, admin: str) -> None:
    user_id = await api.id_of(ALICE, admin=admin)
    edit = {"userId": user_id, "fullName": "Alice", "version": 1}
    payload = await mutate(api, "updateUser", edit, token=admin)
    assert payload["user"]["version"] == 2
    assert codes(await mutate(api, "updateUser", edit, token=admin)) == ["EDIT_CONFLICT"]
    roles = {"userId": user_id, "roleIds": [], "version": 1}
    assert codes(await mutate(api, "setUserRoles", roles, token=admin)) == ["EDIT_CONFLICT"]


async def test_update_removes_null_fields_and_keeps_fields_left_out(api: Api, admin: str) -> None:
    user_id = await api.id_of(ALICE, admin=admin)
    payload = await mutate(api, "updateUser", {"userId": user_id, "email": None}, token=admin)
    assert (payload["user"]["email"], payload["user"]["username"]) == (None, "alice")


async def test_update_with_null_username_is_bad_input(api: Api, admin: str) -> None:
    query = """mutation($i: UpdateUserInput!) { updateUser(input: $i) { user { id } } }"""
    fields = {"userId": await api.id_of(ALICE, admin=admin), "username": None}
    result = await api.ask(query, {"i": fields}, token=admin)
    assert denials(result) == [{"code": "BAD_USER_INPUT"}]
