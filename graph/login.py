"""Log in, stay signed in, and log out in GraphQL."""

from enum import Enum
from uuid import UUID

import strawberry

from auth.errors import (
    AccountDisabled,
    InvalidCredentials,
    InvalidRefreshToken,
    PasswordChangeRequired,
    RateLimited,
    TemporaryPasswordExpired,
)
from auth.login import log_in
from auth.logout import log_out, log_out_everywhere
from auth.refresh import refresh
from auth.token_pairs import SignedIn
from graph.arguments import given
from graph.context import Context, Info
from graph.cookies import CookieJar
from graph.devices import store_proof
from graph.errors import Fails, UserError, errors_field
from graph.idempotency import parse_idempotency_key
from graph.permissions import HasSession, IsAuthenticated, Public
from graph.refusals import PASSWORD_REFUSALS
from graph.users import User


@strawberry.enum
class TokenDelivery(Enum):
    """How the refresh token reaches the client."""

    BODY = strawberry.enum_value("body", description="In `tokens`; for apps.")
    COOKIE = strawberry.enum_value(
        "cookie", description="In a cookie that scripts cannot read; for browsers."
    )


@strawberry.type
class Tokens:
    """Tokens of one session, named as in RFC 6749."""

    access_token: str = strawberry.field(
        description="JWT (RFC 9068) for the `Authorization: Bearer` header."
    )
    token_type: str = strawberry.field(description="Always `Bearer`.")
    expires_in: int = strawberry.field(description="Seconds until `accessToken` expires.")
    refresh_token: str | None = strawberry.field(
        description="Opaque, for one use; null where it was set as a cookie."
    )


@strawberry.input
class LoginInput:
    """What the person typed."""

    username: str = strawberry.field(description="Username or e-mail address.")
    password: str = strawberry.field(description="As typed; never logged.")
    delivery: TokenDelivery = strawberry.field(
        description="How the refresh token shall come.", default=TokenDelivery.BODY
    )
    new_password: str | None = strawberry.field(
        description="Takes the place of `password` where an operator chose that"
        " (`PASSWORD_CHANGE_REQUIRED`); means nothing otherwise.",
        default=strawberry.UNSET,
    )
    refresh_token: str | None = strawberry.field(
        description="A refresh token of an earlier session on this device, expired or not. It does"
        " not sign in: it proves that the device has signed in before, so that wrong passwords from"
        " elsewhere do not delay this login. A browser has a cookie for that.",
        default=strawberry.UNSET,
    )


@strawberry.type
class LoginPayload:
    """Result of `login`: `tokens` and `user` on success, `errors` on refusal."""

    tokens: Tokens | None = strawberry.field(
        description="The tokens of the new session.", default=None
    )
    user: User | None = strawberry.field(
        description="Who logged in.", permission_classes=[Public], default=None
    )
    errors: list[UserError] = errors_field()


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
class LogoutPayload:
    """Result of `logout` and of `logoutEverywhere`."""

    ended_sessions: int | None = strawberry.field(
        description="How many sessions were ended; 0 if this one had ended already.", default=None
    )
    errors: list[UserError] = errors_field()


@strawberry.type
class LoginMutations:
    """Root fields that start, continue and end a session."""

    @strawberry.mutation(
        permission_classes=[Public],
        extensions=[
            Fails(
                InvalidCredentials,
                AccountDisabled,
                PasswordChangeRequired,
                TemporaryPasswordExpired,
                RateLimited,
                *PASSWORD_REFUSALS,
            )
        ],
    )
    async def login(
        self,
        info: Info,
        input: LoginInput,
    ) -> LoginPayload:
        """Signs a person in and starts a session."""
        context = info.context
        if input.delivery is TokenDelivery.COOKIE:
            context.cookies.check_can_be_set()
        signed_in = await log_in(
            context.auth,
            context.client,
            username=input.username,
            password=input.password,
            new_password=given(input.new_password),
            proofs=_proofs(input, context.cookies),
        )
        tokens = _deliver(signed_in, input.delivery, context.cookies)
        if input.delivery is TokenDelivery.COOKIE:
            assert signed_in.device_proof
            store_proof(context, signed_in.user.id, signed_in.device_proof)
        return LoginPayload(tokens=tokens, user=User.of(signed_in.user))

    @strawberry.mutation(permission_classes=[Public], extensions=[Fails(InvalidRefreshToken)])
    async def refresh_tokens(
        self,
        info: Info,
        input: RefreshTokensInput,
    ) -> RefreshTokensPayload:
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
        tokens = _deliver(signed_in, delivery, cookies)
        return RefreshTokensPayload(tokens=tokens, user=User.of(signed_in.user))

    @strawberry.mutation(permission_classes=[HasSession], extensions=[Fails()])
    async def logout(self, info: Info) -> LogoutPayload | None:
        """Ends the current session; its tokens stop working at once."""
        session_id = info.context.session_id
        ended = await log_out(info.context.auth, info.context.client, session_id)
        _forget(info.context, session_id)
        return LogoutPayload(ended_sessions=ended)

    @strawberry.mutation(permission_classes=[IsAuthenticated], extensions=[Fails()])
    async def logout_everywhere(self, info: Info) -> LogoutPayload | None:
        """Ends every session of the caller, this one too."""
        ended = await log_out_everywhere(info.context.auth, info.context.viewer)
        _forget(info.context, info.context.viewer.session_id)
        return LogoutPayload(ended_sessions=ended)


def _deliver(signed_in: SignedIn, delivery: TokenDelivery, cookies: CookieJar) -> Tokens:
    by_cookie = delivery is TokenDelivery.COOKIE
    if by_cookie:
        cookies.store(signed_in.refresh_token.text, signed_in.refresh_token.expires_in)
    return Tokens(
        access_token=signed_in.access_token.text,
        token_type="Bearer",  # noqa: S106 - the word of RFC 6750, not a secret
        expires_in=int(signed_in.access_token.expires_in.total_seconds()),
        refresh_token=None if by_cookie else signed_in.refresh_token.text,
    )


def _proofs(input: LoginInput, cookies: CookieJar) -> list[str]:
    typed = given(input.refresh_token)
    return [*([typed] if typed else []), *cookies.device_proofs]


def _forget(context: Context, session_id: UUID) -> None:
    # A cookie of another session may be another person's, in the same browser.
    if context.cookie_session_id == session_id:
        context.cookies.clear()
