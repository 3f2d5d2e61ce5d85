"""Refresh: a refresh token is exchanged for new tokens."""

import strawberry

from auth.errors import InvalidRefreshToken
from auth.refresh import refresh
from graph.arguments import given
from graph.context import Info
from graph.errors.user_errors import Fails, UserError, errors_field
from graph.idempotency import parse_idempotency_key
from graph.permissions import Public
from graph.token_delivery import TokenDelivery, Tokens, deliver_tokens
from graph.users import User


@strawberry.input
class RefreshTokensInput:
    """The refresh token to exchange."""

    refresh_token: str | None = strawberry.field(
        description="The latest refresh token; leave it out if it is in a cookie.",
        default=strawberry.UNSET,
    )


@strawberry.type
class RefreshTokensPayload:
    """Result of `refreshTokens`."""

    tokens: Tokens | None = strawberry.field(description="The new tokens.", default=None)
    user: User | None = strawberry.field(
        description="The user of the session.", permission_classes=[Public], default=None
    )
    errors: list[UserError] = errors_field()


@strawberry.type
class RefreshMutations:
    """The mutation that refreshes tokens."""

    @strawberry.mutation(permission_classes=[Public], extensions=[Fails(InvalidRefreshToken)])
    async def refresh_tokens(self, info: Info, input: RefreshTokensInput) -> RefreshTokensPayload:
        """Exchanges a refresh token for new tokens; each refresh token works once.

        Send a random `Idempotency-Key` header. Repeat it when you retry after a lost reply.
        """
        cookies = info.context.cookies
        typed = given(input.refresh_token)
        if typed is None:
            cookies.check_can_be_set()
            # Scripts can read the body, so the new token stays in the cookie.
            delivery, token = TokenDelivery.COOKIE, cookies.refresh_token or ""
        else:
            delivery, token = TokenDelivery.BODY, typed
        key = parse_idempotency_key(info.context.idempotency_key)
        try:
            signed_in = await refresh(
                info.context.auth, info.context.client, token, idempotency_key=key
            )
        except InvalidRefreshToken:
            # Without a token here, the cookie was ignored because of the `Origin`; it may be valid.
            if typed is None and cookies.refresh_token is not None:
                cookies.clear()
            raise
        tokens = deliver_tokens(signed_in, delivery, cookies)
        return RefreshTokensPayload(tokens=tokens, user=User.of(signed_in.user))
