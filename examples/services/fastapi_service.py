"""A FastAPI service that verifies the access tokens of its callers.

uvicorn --factory examples.services.fastapi_service:app --port 8001
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, Header, HTTPException, Request
from fastapi.responses import JSONResponse

from examples.services.access_tokens import (
    AccessToken,
    InvalidToken,
    KeySet,
    KeysUnavailable,
    Verifier,
)
from examples.services.introspection import Introspection, IntrospectionUnavailable

Guard = Callable[..., Awaitable[AccessToken]]


def read_bearer(authorization: Annotated[str, Header()] = "") -> str:
    """Returns the token of the `Authorization` header (RFC 6750, 2.1)."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise HTTPException(401, "Send an access token.", {"WWW-Authenticate": "Bearer"})
    return token.strip()


def refused(description: str) -> HTTPException:
    """Returns 401 for a token that is not valid (RFC 6750, 3.1)."""
    challenge = f'Bearer error="invalid_token", error_description="{description}"'
    return HTTPException(401, description, {"WWW-Authenticate": challenge})


async def signed_in(request: Request, token: Annotated[str, Depends(read_bearer)]) -> AccessToken:
    """Returns the access token of the caller, if it is valid."""
    verifier: Verifier = request.app.state.verifier
    try:
        return await verifier.verify(token)
    except InvalidToken:
        raise refused("The access token is not valid.") from None


def has_scope(permission: str) -> Guard:
    """Returns a guard that requires a permission in the token."""

    async def guard(token: Annotated[AccessToken, Depends(signed_in)]) -> AccessToken:
        if permission not in token.scope:
            challenge = f'Bearer error="insufficient_scope", scope="{permission}"'
            raise HTTPException(403, f"This needs {permission}.", {"WWW-Authenticate": challenge})
        return token

    return guard


def has_role(role: str) -> Guard:
    """Returns a guard that requires a role in the token."""

    async def guard(token: Annotated[AccessToken, Depends(signed_in)]) -> AccessToken:
        if role not in token.roles:
            challenge = 'Bearer error="insufficient_scope"'
            raise HTTPException(
                403, f"This needs the role {role}.", {"WWW-Authenticate": challenge}
            )
        return token

    return guard


async def still_signed_in(
    request: Request,
    bearer: Annotated[str, Depends(read_bearer)],
    token: Annotated[AccessToken, Depends(signed_in)],
) -> AccessToken:
    """Asks Postern whether the session is still active: one call per request."""
    introspection: Introspection = request.app.state.introspection
    if not await introspection.is_active(bearer):
        raise refused("The session has ended.")
    return token


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Closes the connections to Postern on shutdown."""
    yield
    await app.state.introspection.close()


def app() -> FastAPI:
    """Creates the service."""
    app = FastAPI(title="Reports", lifespan=lifespan)
    app.state.verifier, app.state.introspection = read_environment(os.environ)
    add_routes(app)
    return app


def read_environment(env: Mapping[str, str]) -> tuple[Verifier, Introspection]:
    """Reads the addresses, the issuer and the account of this service."""
    url = env.get("POSTERN_URL", "http://localhost:8000")
    keys = KeySet(
        env.get("JWKS_URL", f"{url}/.well-known/jwks.json"),
        cool_down=float(env.get("JWKS_COOL_DOWN", "5")),
    )
    issuer = env.get("ISSUER", url)
    verifier = Verifier(keys, issuer=issuer, audience=env.get("AUDIENCE", issuer))
    account = {
        "username": env.get("SERVICE_USERNAME", "reports"),
        "password": env.get("SERVICE_PASSWORD", ""),
    }
    return verifier, Introspection(url, **account)


def add_routes(app: FastAPI) -> None:
    """Adds the routes, each with its guard."""

    @app.get("/health")
    async def health() -> str:
        return "ok"

    @app.get("/whoami")
    async def whoami(token: Annotated[AccessToken, Depends(signed_in)]) -> dict[str, str]:
        return {"userId": token.user_id}

    @app.get("/reports", dependencies=[Depends(has_scope("audit:read"))])
    async def reports() -> list[str]:
        return ["No incidents."]

    @app.get("/settings", dependencies=[Depends(has_role("admin"))])
    async def settings() -> dict[str, str]:
        return {"theme": "dark"}

    @app.delete("/reports", status_code=204, dependencies=[Depends(still_signed_in)])
    async def burn() -> None:
        """Deletes the reports. This cannot be undone, so it asks Postern first."""

    @app.exception_handler(KeysUnavailable)
    @app.exception_handler(IntrospectionUnavailable)
    async def away(_request: Request, _error: Exception) -> JSONResponse:
        # Not 401: clients would sign their user out.
        return JSONResponse({"detail": "Postern is unavailable."}, 503, {"Retry-After": "5"})
