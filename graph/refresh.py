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
    """The token to spend."""

    refresh_token: str | None = strawberry.field(
        description="The newest one; leave it out where it travels as a cookie.",
        default=strawberry.UNSET,
    )


@strawberry.type
class RefreshTokensPayload:
    """Result of `refreshTokens`."""

    tokens: Tokens | None = strawberry.field(description="The next tokens.", default=None)
    user: User | None = strawberry.field(
        description="Whose session it is.", permission_classes=[Public], default=None
    )
    errors: list[UserError] = errors_field()


@strawberry.type
class RefreshMutations:
    """The mutation that refreshes tokens."""

    @strawberry.mutation(permission_classes=[Public], extensions=[Fails(InvalidRefreshToken)])
    async def refresh_tokens(self, info: Info, input: RefreshTokensInput) -> RefreshTokensPayload:
        """Exchanges a refresh token, once, for a new pair of tokens.

        Send a random `Idempotency-Key` header, and the same one when you repeat a refresh that had
        no reply.
        """
        cookies = info.context.cookies
        typed = given(input.refresh_token)
        if typed is None:
            cookies.check_can_be_set()
            # The successor of the cookie's token is never in the body: scripts can read that.
            delivery, token = TokenDelivery.COOKIE, cookies.refresh_token or ""
        else:
            delivery, token = TokenDelivery.BODY, typed
        key = parse_idempotency_key(info.context.idempotency_key)
        try:
            signed_in = await refresh(
                info.context.auth, info.context.client, token, idempotency_key=key
            )
        except InvalidRefreshToken:
            # A cookie that was not read may be a good one: the caller is another page, or no page.
            if typed is None and cookies.refresh_token is not None:
                cookies.clear()
            raise
        tokens = deliver_tokens(signed_in, delivery, cookies)
        return RefreshTokensPayload(tokens=tokens, user=User.of(signed_in.user))
