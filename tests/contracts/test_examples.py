"""The example with custom fields, `examples/own_fields.py`."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
import uvicorn
from fastapi.testclient import TestClient

from examples import own_fields
from server.settings import Settings
from tests.accounts import ADMIN, ALICE
from tests.api import Api, denials, serving
from tests.clock import ManualClock
from tests.conftest import make_settings

QUERY = "{ noteCount greeting notes }"


@pytest.fixture
def settings(sqlite_url: str, tmp_path: Path) -> Settings:
    return make_settings(sqlite_url, tmp_path)


async def test_custom_field_requires_its_permission(settings: Settings, clock: ManualClock) -> None:
    async with _serving_notes(settings, clock) as api:
        result = await api.ask(QUERY, token=await api.log_in(ALICE))
    assert result["data"] == {"noteCount": 2, "greeting": "Good evening, alice.", "notes": None}
    assert denials(result) == [{"code": "FORBIDDEN", "required": "notes:read"}]


async def test_admin_has_custom_permissions(settings: Settings, clock: ManualClock) -> None:
    async with _serving_notes(settings, clock) as api:
        data = await api.data(QUERY, token=await api.log_in(ADMIN))
    assert data["notes"] == own_fields.NOTES


async def test_public_custom_field_needs_no_token(settings: Settings, clock: ManualClock) -> None:
    async with _serving_notes(settings, clock) as api:
        assert await api.data("{ noteCount }") == {"noteCount": 2}


def test_example_starts_by_its_factory(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTERN_ENVIRONMENT", "development")
    monkeypatch.setenv("POSTERN_DATABASE_URL", settings.database_url.get_secret_value())
    # The interface that `uvicorn --factory examples.own_fields:app` detects.
    config = uvicorn.Config("examples.own_fields:app", factory=True, log_config=None)
    config.load()
    assert config.interface == "asgi3"
    with TestClient(own_fields.app(), base_url="http://localhost") as client:
        assert client.get("/healthz").status_code == 200


def _serving_notes(settings: Settings, clock: ManualClock) -> AbstractAsyncContextManager[Api]:
    return serving(
        settings,
        clock,
        queries=[own_fields.NoteQueries],
        permissions=own_fields.PERMISSIONS,
    )
