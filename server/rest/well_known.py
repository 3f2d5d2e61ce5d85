"""`/.well-known/…`: the public keys (JWKS) and the metadata of the server (RFC 8414)."""

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from auth.tokens.keys import JWKS_MAX_AGE
from auth.wiring import Auth
from server.rest.errors import json_reply


def well_known_router(auth: Auth, *, base_url: str) -> APIRouter:
    """Creates the router of the JWKS and the metadata."""
    router = APIRouter()
    for_an_hour = {"Cache-Control": "public, max-age=3600"}

    @router.get("/.well-known/jwks.json", summary="Get the public keys (RFC 7517)")
    async def jwks() -> Response:
        max_age = int(JWKS_MAX_AGE.total_seconds())
        return json_reply(
            await auth.keys.jwks(), headers={"Cache-Control": f"public, max-age={max_age}"}
        )

    @router.get(
        "/.well-known/oauth-authorization-server", summary="Get the server metadata (RFC 8414)"
    )
    async def metadata() -> Response:
        return json_reply(_metadata(auth, base_url), headers=for_an_hour)

    # Postern is not an OpenID provider, but many JWT libraries look for the JWKS at this path.
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
