"""`/metrics` for Prometheus, for whoever has its token: counts and sizes, and no names."""

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
from auth.mail_delivery.outbox_list import count_waiting_mails
from auth.wiring import Auth
from graph.context import read_bearer_token
from graph.documents.operations import Operations
from graph.http.requests import read_headers
from server.rest.errors import denied

if TYPE_CHECKING:
    from prometheus_client import Metric

# Others are counted together: a scanner must not make a series of each address that it tries.
_PATHS = frozenset({"/graphql", "/token", "/revoke", "/introspect", "/users/me"})
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class RequestCounts:
    """What was answered, and in what time. Adding to it costs next to nothing."""

    def __init__(self) -> None:
        self.replies: Counter[tuple[str, int]] = Counter()
        self.times: dict[str, list[int]] = defaultdict(lambda: [0] * (len(_SECONDS) + 1))
        self.seconds: Counter[str] = Counter()

    def add(self, path: str, status: int, seconds: float) -> None:
        """Counts one reply."""
        if path not in _PATHS:
            path = "other"
        self.replies[path, status] += 1
        self.times[path][bisect_left(_SECONDS, seconds)] += 1
        self.seconds[path] += seconds  # type: ignore[assignment] # a sum, of seconds


class _Collector:
    """What Prometheus is told, put together when it asks."""

    def __init__(self, counts: RequestCounts, auth: Auth, operations: Operations) -> None:
        self._counts = counts
        self._auth = auth
        self._operations = operations
        self.mails_waiting = 0

    def collect(self) -> Iterator["Metric"]:
        """The metrics, as the client library asks for them."""
        yield from self._requests()
        yield from self._sizes()

    def _requests(self) -> Iterator["Metric"]:
        from prometheus_client.core import (  # noqa: PLC0415
            CounterMetricFamily,
            HistogramMetricFamily,
        )

        replies = CounterMetricFamily(
            "postern_replies", "Replies, by path and status.", labels=["path", "status"]
        )
        for (path, status), number in self._counts.replies.items():
            replies.add_metric([path, str(status)], number)
        yield replies
        times = HistogramMetricFamily(
            "postern_request_seconds", "From a request to the end of its reply.", labels=["path"]
        )
        bounds = [*(str(seconds) for seconds in _SECONDS), "+Inf"]
        for path, numbers in self._counts.times.items():
            buckets = list(zip(bounds, accumulate(numbers), strict=True))
            times.add_metric([path], buckets, self._counts.seconds[path])
        yield times

    def _sizes(self) -> Iterator["Metric"]:
        from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415

        sizes = {
            "postern_password_hashes_pending": (
                "Passwords that are being hashed or wait for it.",
                self._auth.passwords.pending,
            ),
            "postern_viewers_remembered": (
                "Sessions in the cache of viewers.",
                len(self._auth.viewer_cache),
            ),
            "postern_tokens_remembered": (
                "Access tokens whose signature was verified.",
                len(self._auth.token_cache),
            ),
            "postern_documents_remembered": (
                "GraphQL documents that are prepared.",
                len(self._operations),
            ),
            "postern_mails_waiting": ("Mails in the outbox.", self.mails_waiting),
        }
        for name, (what, size) in sizes.items():
            yield GaugeMetricFamily(name, what, value=size)


def metrics_router(
    auth: Auth, operations: Operations, counts: RequestCounts, token: SecretStr
) -> APIRouter:
    """The endpoint; its caller shows `token` as a bearer token."""
    # The client library takes megabytes, and most servers are asked for no metrics.
    from prometheus_client import CollectorRegistry, ProcessCollector  # noqa: PLC0415
    from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest  # noqa: PLC0415

    registry = CollectorRegistry()
    collector = _Collector(counts, auth, operations)
    registry.register(collector)
    ProcessCollector(registry=registry)
    router = APIRouter()

    @router.get("/metrics", summary="For Prometheus")
    async def metrics(request: Request) -> Response:
        try:
            _check_token(read_headers(request.scope).get(b"authorization"), token)
        except (TokenMissing, TokenInvalid) as denial:
            return denied(denial)
        collector.mails_waiting = await count_waiting_mails(auth)
        return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return router


def _check_token(authorization: bytes | None, token: SecretStr) -> None:
    given = read_bearer_token(authorization).encode()
    if not hmac.compare_digest(given, token.get_secret_value().encode()):
        raise TokenInvalid
