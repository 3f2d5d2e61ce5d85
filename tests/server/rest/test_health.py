"""`/healthz` and `/readyz`."""

import pytest
from sqlalchemy import text

from models.database import Database, DatabaseUnavailable
from tests.api import Api, logged_outages


async def test_health_checks_accept_any_host(sqlite_api: Api) -> None:
    for path in ("/healthz", "/readyz"):
        reply = await sqlite_api.http.get(path, headers={"Host": "10.0.0.7"})
        assert reply.status_code == 200


async def test_unreachable_database_makes_the_server_unready_and_is_logged(
    sqlite_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_arguments: object) -> None:
        raise DatabaseUnavailable("unreachable")

    for method in ("read", "look_up"):
        monkeypatch.setattr(Database, method, unreachable)
    with logged_outages() as causes_of_readyz:
        ready = await sqlite_api.http.get("/readyz")
    assert (ready.status_code, ready.headers["retry-after"]) == (503, "2")
    assert (await sqlite_api.http.get("/healthz")).status_code == 200
    with logged_outages() as causes_of_token:
        token = await sqlite_api.http.post("/token", data={"username": "a", "password": "b"})
    assert (token.status_code, token.headers["retry-after"]) == (503, "2")
    assert causes_of_readyz == causes_of_token == ["unreachable"]


@pytest.mark.parametrize(("version", "status"), [("0001", "database not migrated"), ("9999", "ok")])
async def test_readyz_is_ok_if_the_database_is_of_this_version_or_newer(
    sqlite_api: Api, version: str, status: str
) -> None:
    async with sqlite_api.auth.db.begin() as tx:
        await tx.execute(
            text("UPDATE postern_alembic_version SET version_num = :v"), {"v": version}
        )
    assert (await sqlite_api.http.get("/readyz")).json() == {"status": status}
