"""Token delivery: the tokens of a session, in the body or with a cookie."""

from enum import Enum

import strawberry

from auth.token_pairs import TokenPair
from graph.cookies import CookieJar


@strawberry.enum
class TokenDelivery(Enum):
    """How the refresh token reaches the client."""

    BODY = strawberry.enum_value("body", description="In `Tokens.refreshToken`; for apps.")
    COOKIE = strawberry.enum_value("cookie", description="In an `HttpOnly` cookie; for browsers.")


@strawberry.type
class Tokens:
    """The tokens of a session, named as in RFC 6749, section 5.1."""

    access_token: str = strawberry.field(
        description="JWT (RFC 9068) for the `Authorization: Bearer` header."
    )
    token_type: str = strawberry.field(description="Always `Bearer`.")
    expires_in: int = strawberry.field(description="Seconds until `accessToken` expires.")
    refresh_token: str | None = strawberry.field(
        description="Opaque, for one use; null if it was set as a cookie."
    )


def deliver_tokens(signed_in: TokenPair, delivery: TokenDelivery, cookies: CookieJar) -> Tokens:
    """Returns the tokens for the body, and stores the refresh token as a cookie if asked for."""
    by_cookie = delivery is TokenDelivery.COOKIE
    if by_cookie:
        cookies.store(signed_in.refresh_token.text, signed_in.refresh_token.expires_in)
    return Tokens(
        access_token=signed_in.access_token.text,
        token_type="Bearer",  # noqa: S106 - the word of RFC 6750, not a secret
        expires_in=int(signed_in.access_token.expires_in.total_seconds()),
        refresh_token=None if by_cookie else signed_in.refresh_token.text,
    )
