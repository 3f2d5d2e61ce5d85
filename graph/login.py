"""Log in and log out in GraphQL."""

from typing import Annotated, Self

import strawberry

from auth.errors import AccountDisabled, InvalidCredentials, RateLimited
from auth.login import log_in, log_out
from auth.tokens import IssuedToken
from graph.context import Info
from graph.errors import Fails, UserError, errors_field
from graph.permissions import IsAuthenticated, Public
from graph.users import User


@strawberry.type(description="Tokens of one session, named as in RFC 6749.")
class Tokens:
    """Tokens of one session."""

    access_token: str = strawberry.field(
        description="JWT (RFC 9068) for the `Authorization: Bearer` header."
    )
    token_type: str = strawberry.field(description="Always `Bearer`.")
    expires_in: int = strawberry.field(description="Seconds until `accessToken` expires.")

    @classmethod
    def of(cls, token: IssuedToken) -> Self:
        """Shows a token to its owner."""
        return cls(
            access_token=token.text,
            token_type="Bearer",  # noqa: S106 - the word of RFC 6750, not a secret
            expires_in=int(token.expires_in.total_seconds()),
        )


@strawberry.input(description="What the person typed.")
class LoginInput:
    """What the person typed."""

    username: str = strawberry.field(description="Username or e-mail address.")
    password: str = strawberry.field(description="As typed; never logged.")


@strawberry.type(
    description="Result of `login`: `tokens` and `user` on success, `errors` on refusal."
)
class LoginPayload:
    """Result of `login`."""

    tokens: Tokens | None = strawberry.field(
        description="The tokens of the new session.", default=None
    )
    user: User | None = strawberry.field(description="Who logged in.", default=None)
    errors: list[UserError] = errors_field()


@strawberry.type(description="Result of `logout`.")
class LogoutPayload:
    """Result of `logout`."""

    ended_sessions: int | None = strawberry.field(
        description="How many sessions were ended; 0 if this one had ended already.", default=None
    )
    errors: list[UserError] = errors_field()


@strawberry.type
class LoginMutations:
    """Root fields that start and end a session."""

    @strawberry.mutation(
        description="Signs a person in and starts a session.",
        permission_classes=[Public],
        extensions=[Fails(InvalidCredentials, AccountDisabled, RateLimited)],
    )
    async def login(
        self,
        info: Info,
        input: Annotated[LoginInput, strawberry.argument(description="What the person typed.")],
    ) -> LoginPayload:
        context = info.context
        signed_in = await log_in(
            context.auth, context.client, username=input.username, password=input.password
        )
        return LoginPayload(tokens=Tokens.of(signed_in.access_token), user=User.of(signed_in.user))

    @strawberry.mutation(
        description="Ends the current session; its tokens stop working at once.",
        permission_classes=[IsAuthenticated],
        extensions=[Fails()],
    )
    async def logout(self, info: Info) -> LogoutPayload | None:
        ended = await log_out(info.context.auth, info.context.viewer)
        return LogoutPayload(ended_sessions=ended)
