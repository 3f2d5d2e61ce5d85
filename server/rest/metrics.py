"""The `/metrics` endpoint for Prometheus. Its labels contain no user data."""

import hmac
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import accumulate
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from pydantic import SecretStr
from starlette.responses import Response

from auth.errors import TokenInvalid, TokenMissing
from auth.mail_delivery.outbox_list import count_pending_emails
from auth.wiring import Auth
from graph.context import read_bearer_token
from graph.documents.operations import Operations
from graph.http.requests import read_headers
from server.rest.errors import denied

if TYPE_CHECKING:
    from prometheus_client import Metric

# Other paths are counted as "other", so that a scanner cannot create a time series per path.
_PATHS = frozenset({"/graphql", "/token", "/revoke", "/introspect", "/users/me"})
_BUCKET_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class RequestMetrics:
    """The number and the duration of requests, by path."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()
        self.buckets: dict[str, list[int]] = defaultdict(lambda: [0] * (len(_BUCKET_SECONDS) + 1))
        self.seconds: Counter[str] = Counter()

    def add(self, path: str, status: int, seconds: float) -> None:
        """Counts one request."""
        if path not in _PATHS:
            path = "other"
        self.requests[path, status] += 1
        self.buckets[path][bisect_left(_BUCKET_SECONDS, seconds)] += 1
        self.seconds[path] += seconds  # type: ignore[assignment] # a sum, of seconds


class _Collector:
    """Collects the metrics when Prometheus requests them."""

    def __init__(self, requests: RequestMetrics, auth: Auth, operations: Operations) -> None:
        self._requests = requests
        self._auth = auth
        self._operations = operations
        self.outbox_pending = 0

    def collect(self) -> Iterator["Metric"]:
        """Yields the metrics. The client library calls this."""
        yield from self._request_metrics()
        yield from self._gauges()

    def _request_metrics(self) -> Iterator["Metric"]:
        from prometheus_client.core import (  # noqa: PLC0415
            CounterMetricFamily,
            HistogramMetricFamily,
        )

        # The library adds `_total` to the name of a counter.
        requests = CounterMetricFamily(
            "postern_http_requests", "Requests, by path and status.", labels=["path", "status"]
        )
        for (path, status), number in self._requests.requests.items():
            requests.add_metric([path, str(status)], number)
        yield requests
        durations = HistogramMetricFamily(
            "postern_http_request_duration_seconds",
            "Time from the start of a request to the end of its reply.",
            labels=["path"],
        )
        bounds = [*(str(seconds) for seconds in _BUCKET_SECONDS), "+Inf"]
        for path, numbers in self._requests.buckets.items():
            buckets = list(zip(bounds, accumulate(numbers), strict=True))
            durations.add_metric([path], buckets, self._requests.seconds[path])
        yield durations

    def _gauges(self) -> Iterator["Metric"]:
        from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415

        gauges = {
            "postern_password_hashes_pending": (
                "Password hashes that are being computed or are queued.",
                self._auth.passwords.pending,
            ),
            "postern_viewer_cache_entries": (
                "Entries of the viewer cache.",
                len(self._auth.viewer_cache),
            ),
            "postern_token_cache_entries": (
                "Entries of the cache of verified access tokens.",
                len(self._auth.token_cache),
            ),
            "postern_document_cache_entries": (
                "Entries of the cache of prepared GraphQL documents.",
                len(self._operations),
            ),
            "postern_outbox_pending": ("Emails that are waiting to be sent.", self.outbox_pending),
        }
        for name, (description, value) in gauges.items():
            yield GaugeMetricFamily(name, description, value=value)


def metrics_router(
    auth: Auth, operations: Operations, requests: RequestMetrics, token: SecretStr
) -> APIRouter:
    """Creates the router. The caller of the endpoint sends `token` as a bearer token."""
    # Imported here because the client library takes megabytes, and metrics are off by default.
    from prometheus_client import CollectorRegistry, ProcessCollector  # noqa: PLC0415
    from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest  # noqa: PLC0415

    registry = CollectorRegistry()
    collector = _Collector(requests, auth, operations)
    registry.register(collector)
    ProcessCollector(registry=registry)
    router = APIRouter()

    @router.get("/metrics", summary="Get the metrics for Prometheus")
    async def metrics(request: Request) -> Response:
        try:
            _check_token(read_headers(request.scope).get(b"authorization"), token)
        except (TokenMissing, TokenInvalid) as denial:
            return denied(denial)
        collector.outbox_pending = await count_pending_emails(auth)
        return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return router


def _check_token(authorization: bytes | None, token: SecretStr) -> None:
    given = read_bearer_token(authorization).encode()
    if not hmac.compare_digest(given, token.get_secret_value().encode()):
        raise TokenInvalid
