"""`/.well-known/jwks.json`: the public keys by which any service verifies our tokens."""

from fastapi import APIRouter
from starlette.responses import Response

from auth.keys import JWKS_MAX_AGE
from auth.wiring import Auth
from server.replies import json_reply


def well_known_router(auth: Auth) -> APIRouter:
    """Public metadata."""
    router = APIRouter()

    @router.get("/.well-known/jwks.json", summary="Public keys (RFC 7517)")
    async def jwks() -> Response:
        max_age = int(JWKS_MAX_AGE.total_seconds())
        return json_reply(
            await auth.keys.jwks(), headers={"Cache-Control": f"public, max-age={max_age}"}
        )

    return router
