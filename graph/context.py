"""The context of an operation: client, viewer and cookies.

The bearer header is read once per request. An invalid token does not affect public fields.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any
from uuid import UUID

import strawberry

from auth.clients import Client
from auth.errors import InvalidRefreshToken, TokenInvalid, TokenMissing, Unauthenticated
from auth.viewers import Viewer, find_cached_viewer, get_viewer
from auth.wiring import Auth
from graph.cookies import CookieJar


@dataclass(eq=False)
class Context:
    """The value of `info.context`; one object per operation."""

    auth: Auth
    client: Client
    caller: Viewer | type[Unauthenticated]
    cookies: CookieJar
    # The raw header; few operations parse it.
    idempotency_key: bytes | None = None

    @cached_property
    def state(self) -> dict[str, Any]:
        """Values that custom resolvers of this operation share, such as DataLoaders."""
        return {}

    @property
    def viewer(self) -> Viewer:
        """The signed-in caller. Raises Unauthenticated with the reason if there is none."""
        if isinstance(self.caller, Viewer):
            return self.caller
        raise self.caller

    @property
    def session_id(self) -> UUID:
        """The session of the bearer token or, without a token, of the cookie.

        An invalid token is not replaced by the cookie, which may belong to another user. Raises
        Unauthenticated.
        """
        if self.caller is not TokenMissing:
            return self.viewer.session_id
        session_id = self.cookie_session_id
        if session_id is None:
            raise TokenMissing if self.cookies.refresh_token is None else TokenInvalid
        return session_id

    @property
    def cookie_session_id(self) -> UUID | None:
        """The session in the cookie, or None without a valid cookie."""
        if self.cookies.refresh_token is None:
            return None
        try:
            return self.auth.refresh_tokens.parse(self.cookies.refresh_token).session_id
        except InvalidRefreshToken:
            return None


Info = strawberry.Info[Context, None]


def get_known_context(
    auth: Auth,
    client: Client,
    authorization: bytes | None,
    cookies: CookieJar,
    idempotency_key: bytes | None = None,
) -> Context | None:
    """Returns the context of a request, or None if the viewer must be read from the database."""
    if authorization is None:
        return Context(auth, client, TokenMissing, cookies, idempotency_key)
    try:
        viewer = find_cached_viewer(auth, client, read_bearer_token(authorization))
    except Unauthenticated as unauthenticated:
        return Context(auth, client, type(unauthenticated), cookies, idempotency_key)
    return None if viewer is None else Context(auth, client, viewer, cookies, idempotency_key)


async def get_context(
    auth: Auth,
    client: Client,
    authorization: bytes | None,
    cookies: CookieJar,
    idempotency_key: bytes | None = None,
) -> Context:
    """Returns the context of a request. Raises DatabaseUnavailable."""
    try:
        viewer = await get_viewer(auth, client, read_bearer_token(authorization))
    except Unauthenticated as unauthenticated:
        return Context(auth, client, type(unauthenticated), cookies, idempotency_key)
    return Context(auth, client, viewer, cookies, idempotency_key)


def read_bearer_token(authorization: bytes | None) -> str:
    """Returns the token of the bearer header (RFC 6750, 2.1); tokens elsewhere are ignored.

    Several headers arrive joined, which is an invalid token. Raises TokenMissing, TokenInvalid.
    """
    scheme, _, token = (authorization or b"").decode("latin-1").partition(" ")
    if scheme.lower() != "bearer":
        raise TokenMissing
    token = token.strip()
    if not token:
        raise TokenInvalid
    return token


@cache
def www_authenticate(reason: str) -> str:
    """Returns the challenge for an unauthenticated caller (RFC 6750, 3).

    It has no error code if the request had no token.
    """
    if reason == TokenMissing.reason:
        return "Bearer"
    return f'Bearer error="invalid_token", error_description="{reason}"'
