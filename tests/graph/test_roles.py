"""Roles: the queries `roles` and `permissions`."""

from tests.api import Api


async def test_permissions_query_lists_permissions(api: Api, admin: str) -> None:
    data = await api.data("{ permissions { name description } }", token=admin)
    assert "users:write" in [permission["name"] for permission in data["permissions"]]
