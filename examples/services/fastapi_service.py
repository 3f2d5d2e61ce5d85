"""A service that only verifies: Postern signs people in, this trusts its signature.

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
    """The token of the bearer header (RFC 6750, 2.1)."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise HTTPException(401, "Say who you are.", {"WWW-Authenticate": "Bearer"})
    return token.strip()


def refused(description: str) -> HTTPException:
    """401 for a token that came and is not good (RFC 6750, 3.1)."""
    challenge = f'Bearer error="invalid_token", error_description="{description}"'
    return HTTPException(401, description, {"WWW-Authenticate": challenge})


async def signed_in(request: Request, token: Annotated[str, Depends(read_bearer)]) -> AccessToken:
    """Whoever shows a good access token."""
    verifier: Verifier = request.app.state.verifier
    try:
        return await verifier.verify(token)
    except InvalidToken:
        raise refused("The access token is not valid.") from None


def has_scope(permission: str) -> Guard:
    """Whoever holds the permission, says the token."""

    async def guard(token: Annotated[AccessToken, Depends(signed_in)]) -> AccessToken:
        if permission not in token.scope:
            challenge = f'Bearer error="insufficient_scope", scope="{permission}"'
            raise HTTPException(403, f"This needs {permission}.", {"WWW-Authenticate": challenge})
        return token

    return guard


def has_role(role: str) -> Guard:
    """Whoever has the role, says the token."""

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
    """Whoever shows a token that works at this very moment, says Postern: one call for each."""
    introspection: Introspection = request.app.state.introspection
    if not await introspection.is_active(bearer):
        raise refused("The session has ended.")
    return token


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Closes the connections to Postern at the end."""
    yield
    await app.state.introspection.close()


def app() -> FastAPI:
    """The service."""
    app = FastAPI(title="Reports", lifespan=lifespan)
    app.state.verifier, app.state.introspection = read_environment(os.environ)
    add_routes(app)
    return app


def read_environment(env: Mapping[str, str]) -> tuple[Verifier, Introspection]:
    """What this service trusts, and whom it asks."""
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
    """What it serves, each behind its guard."""

    @app.get("/health")
    async def health() -> str:
        return "ok"

    @app.get("/whoami")
    async def whoami(token: Annotated[AccessToken, Depends(signed_in)]) -> dict[str, str]:
        return {"userId": token.user_id}

    @app.get("/reports", dependencies=[Depends(has_scope("audit:read"))])
    async def reports() -> list[str]:
        return ["All is well."]

    @app.get("/settings", dependencies=[Depends(has_role("admin"))])
    async def settings() -> dict[str, str]:
        return {"theme": "dark"}

    @app.delete("/reports", status_code=204, dependencies=[Depends(still_signed_in)])
    async def burn() -> None:
        """Cannot be undone: so it asks."""

    @app.exception_handler(KeysUnavailable)
    @app.exception_handler(IntrospectionUnavailable)
    async def away(_request: Request, _error: Exception) -> JSONResponse:
        # Not 401: that would make clients sign their person out.
        return JSONResponse({"detail": "Postern is away."}, 503, {"Retry-After": "5"})
