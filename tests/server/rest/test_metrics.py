"""The metrics endpoint."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from server.settings import Settings
from tests.accounts import ALICE
from tests.api import Api, serving
from tests.clock import ManualClock
from tests.conftest import make_settings

_LABELS = ("path", "status", "le")
TOKEN = "wq8Zr3TnYb5KxLm2VdHs7GpFc9JtEa4R"


@pytest.fixture
def measured_settings(sqlite_url: str, tmp_path: Path) -> Settings:
    return make_settings(sqlite_url, tmp_path).model_copy(
        update={"metrics_token": SecretStr(TOKEN)}
    )


@pytest.fixture
async def measured(measured_settings: Settings, clock: ManualClock) -> AsyncIterator[Api]:
    async with serving(measured_settings, clock) as api:
        yield api


async def read(api: Api) -> dict[tuple[str, ...], float]:
    """Returns the value of each sample, by its name and labels."""
    reply = await api.http.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert reply.status_code == 200
    return {
        (sample.name, *(sample.labels[label] for label in _LABELS if label in sample.labels)): (
            sample.value
        )
        for family in text_string_to_metric_families(reply.text)
        for sample in family.samples
    }


async def test_requests_are_counted_by_path_and_status(measured: Api) -> None:
    for _ in range(3):
        await measured.post("{ __typename }")
    await measured.http.get("/users/me")
    samples = await read(measured)
    assert samples["postern_http_requests_total", "/graphql", "200"] == 3
    assert samples["postern_http_requests_total", "/users/me", "401"] == 1


async def test_request_durations_form_a_histogram(measured: Api) -> None:
    for _ in range(3):
        await measured.post("{ __typename }")
    samples = await read(measured)
    assert samples["postern_http_request_duration_seconds_count", "/graphql"] == 3
    assert samples["postern_http_request_duration_seconds_bucket", "/graphql", "+Inf"] == 3
    assert 0 < samples["postern_http_request_duration_seconds_sum", "/graphql"] < 30


async def test_unknown_paths_are_counted_as_other(measured: Api) -> None:
    for number in range(5):
        await measured.http.get(f"/guess/{number}")
    samples = await read(measured)
    assert samples["postern_http_requests_total", "other", "404"] == 5
    assert not [name for name in samples if "/guess" in "".join(name)]


async def test_cache_and_outbox_sizes_are_reported(measured: Api) -> None:
    token = await measured.log_in(ALICE)
    await measured.ask("{ me { id } }", token=token)
    samples = await read(measured)
    assert samples["postern_viewer_cache_entries",] == 1
    assert samples["postern_token_cache_entries",] == 1
    assert samples["postern_document_cache_entries",] == 2
    assert samples["postern_outbox_pending",] == 0
    assert samples["postern_password_hashes_pending",] == 0


@pytest.mark.parametrize("bearer", [None, "", "wrong", TOKEN[:-1], TOKEN + "x"])
async def test_metrics_require_the_metrics_token(measured: Api, bearer: str | None) -> None:
    headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
    reply = await measured.http.get("/metrics", headers=headers)
    assert reply.status_code == 401
    assert "postern_" not in reply.text


async def test_metrics_reject_access_tokens(measured: Api) -> None:
    token = await measured.log_in(ALICE)
    reply = await measured.http.get("/metrics", headers={"Authorization": f"Bearer {token}"})
    assert reply.status_code == 401


async def test_metrics_are_off_without_a_token_setting(sqlite_api: Api) -> None:
    assert (await sqlite_api.http.get("/metrics")).status_code == 404
