"""REST error replies: OAuth errors and bearer challenges."""

from typing import Any

import orjson
from starlette.responses import Response

from auth.errors import Denial, Forbidden, RateLimited, Refusal, Unauthenticated
from graph.context import www_authenticate

# RFC 6749, 5.1: replies with tokens, and their errors, must not be cached.
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


def json_reply(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Returns a JSON reply with a charset."""
    return Response(
        orjson.dumps(body),
        status,
        {"Content-Type": "application/json; charset=utf-8", **(headers or {})},
    )


def oauth_error(code: str, description: str, status: int = 400, **headers: str) -> Response:
    """Returns an error of the token endpoint (RFC 6749, 5.2)."""
    body = {"error": code, "error_description": description}
    return json_reply(body, status, {**NO_STORE, **headers})


def refused_grant(refusal: Refusal) -> Response:
    """Returns the error of a refused grant: `invalid_grant`, or 429 with `Retry-After`."""
    if isinstance(refusal, RateLimited):
        seconds = str(int(refusal.retry_after.total_seconds()))
        return oauth_error(
            "temporarily_unavailable", refusal.message, 429, **{"Retry-After": seconds}
        )
    return oauth_error("invalid_grant", refusal.message)


def denied(denial: Denial) -> Response:
    """Returns 401 or 403 with a bearer challenge."""
    status, header = challenge(denial)
    headers = {"WWW-Authenticate": header}
    if isinstance(denial, Unauthenticated):
        headers["Cache-Control"] = "no-store"
        return json_reply({"detail": str(denial), "reason": denial.reason}, status, headers)
    return json_reply({"detail": str(denial)}, status, headers)


def challenge(denial: Denial) -> tuple[int, str]:
    """Returns the status of a denial, and its `WWW-Authenticate` header (RFC 6750, 3)."""
    if isinstance(denial, Unauthenticated):
        return 401, www_authenticate(denial.reason)
    assert isinstance(denial, Forbidden)
    return 403, f'Bearer error="insufficient_scope", scope="{denial.required}"'
