"""Sign-in: username and password start a session."""

import strawberry

from auth.errors import (
    AccountDisabled,
    InvalidCredentials,
    PasswordChangeRequired,
    RateLimited,
    TemporaryPasswordExpired,
)
from auth.login import log_in
from graph.arguments import given
from graph.context import Info
from graph.cookies import CookieJar
from graph.devices import store_device_proof
from graph.errors.user_errors import PASSWORD_REFUSALS, Fails, UserError, errors_field
from graph.permissions import Public
from graph.token_delivery import TokenDelivery, Tokens, deliver_tokens
from graph.users import User


@strawberry.input
class LoginInput:
    """The credentials, and how to deliver the tokens."""

    username: str = strawberry.field(description="Username or email address.")
    password: str = strawberry.field(description="Never logged.")
    delivery: TokenDelivery = strawberry.field(
        description="How the refresh token is delivered.", default=TokenDelivery.BODY
    )
    new_password: str | None = strawberry.field(
        description="Replaces a temporary password, after `PASSWORD_CHANGE_REQUIRED`; ignored"
        " otherwise. Never logged.",
        default=strawberry.UNSET,
    )
    refresh_token: str | None = strawberry.field(
        description="A refresh token of an earlier session on this device, expired or not. It"
        " proves that the device has signed in before, so failed attempts from elsewhere do not"
        " delay this one. Browsers use a cookie instead.",
        default=strawberry.UNSET,
    )


@strawberry.type
class LoginPayload:
    """Result of `login`: `tokens` and `user` on success, otherwise `errors`."""

    tokens: Tokens | None = strawberry.field(
        description="The tokens of the new session.", default=None
    )
    user: User | None = strawberry.field(
        description="The signed-in user.", permission_classes=[Public], default=None
    )
    errors: list[UserError] = errors_field()


@strawberry.type
class LoginMutations:
    """The mutation that signs in."""

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
    async def login(self, info: Info, input: LoginInput) -> LoginPayload:
        """Signs a user in and starts a session."""
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
        tokens = deliver_tokens(signed_in, input.delivery, context.cookies)
        if input.delivery is TokenDelivery.COOKIE:
            assert signed_in.device_proof
            store_device_proof(context, signed_in.user.id, signed_in.device_proof)
        return LoginPayload(tokens=tokens, user=User.of(signed_in.user))


def _proofs(input: LoginInput, cookies: CookieJar) -> list[str]:
    typed = given(input.refresh_token)
    return [*([typed] if typed else []), *cookies.device_proofs]
