"""`/.well-known/…`: the public keys and the addresses that other software starts from."""

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from auth.tokens.keys import JWKS_MAX_AGE
from auth.wiring import Auth
from server.rest.errors import json_reply


def well_known_router(auth: Auth, *, base_url: str) -> APIRouter:
    """Public metadata."""
    router = APIRouter()
    for_an_hour = {"Cache-Control": "public, max-age=3600"}

    @router.get("/.well-known/jwks.json", summary="Public keys (RFC 7517)")
    async def jwks() -> Response:
        max_age = int(JWKS_MAX_AGE.total_seconds())
        return json_reply(
            await auth.keys.jwks(), headers={"Cache-Control": f"public, max-age={max_age}"}
        )

    @router.get("/.well-known/oauth-authorization-server", summary="Metadata (RFC 8414)")
    async def metadata() -> Response:
        return json_reply(_metadata(auth, base_url), headers=for_an_hour)

    # Many libraries that verify tokens start from this name; there is no OpenID Connect here.
    @router.get("/.well-known/openid-configuration", include_in_schema=False)
    async def configuration() -> Response:
        return json_reply(_metadata(auth, base_url), headers=for_an_hour)

    return router


def _metadata(auth: Auth, base_url: str) -> dict[str, Any]:
    return {
        "issuer": auth.token_policy.issuer,
        "token_endpoint": f"{base_url}/token",
        "revocation_endpoint": f"{base_url}/revoke",
        "introspection_endpoint": f"{base_url}/introspect",
        "jwks_uri": f"{base_url}/.well-known/jwks.json",
        "grant_types_supported": ["password", "refresh_token"],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
    }
