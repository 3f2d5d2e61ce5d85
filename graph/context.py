"""Who calls: the bearer header is read once per request, and never fails a public field."""

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
    """What a resolver gets as `info.context`: one object per operation."""

    auth: Auth
    client: Client
    caller: Viewer | type[Unauthenticated]
    cookies: CookieJar
    # The header as it came: only a few operations read it.
    idempotency_key: bytes | None = None

    @cached_property
    def state(self) -> dict[str, Any]:
        """What custom resolvers of this operation share, such as DataLoaders."""
        return {}

    @property
    def viewer(self) -> Viewer:
        """The signed-in person. Raises Unauthenticated with the reason why there is none."""
        if isinstance(self.caller, Viewer):
            return self.caller
        raise self.caller

    @property
    def session_id(self) -> UUID:
        """The session of the bearer token; without one, of the cookie. Raises Unauthenticated.

        A token that is refused is not replaced by the cookie: that may be somebody else's.
        """
        if self.caller is not TokenMissing:
            return self.viewer.session_id
        session_id = self.cookie_session_id
        if session_id is None:
            raise TokenMissing if self.cookies.refresh_token is None else TokenInvalid
        return session_id

    @property
    def cookie_session_id(self) -> UUID | None:
        """The session that the cookie names, if there is one that can be read."""
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
    """Decodes the `Authorization` header of a request, if that can be done without waiting."""
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
    """Decodes the `Authorization` header of a request. Raises DatabaseUnavailable."""
    try:
        viewer = await get_viewer(auth, client, read_bearer_token(authorization))
    except Unauthenticated as unauthenticated:
        return Context(auth, client, type(unauthenticated), cookies, idempotency_key)
    return Context(auth, client, viewer, cookies, idempotency_key)


def read_bearer_token(authorization: bytes | None) -> str:
    """The token of the bearer header (RFC 6750, 2.1): the only place where one is looked for.

    Raises TokenMissing, TokenInvalid. Two headers come joined, and are no token.
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
    """The challenge for an unauthenticated caller (RFC 6750, 3): no error where no token came."""
    if reason == TokenMissing.reason:
        return "Bearer"
    return f'Bearer error="invalid_token", error_description="{reason}"'
