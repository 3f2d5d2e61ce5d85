"""E-mail addresses in GraphQL: verify one's own, or change it."""

from typing import Annotated

import strawberry

from auth.email_change import confirm_email_change, request_email_change
from auth.email_verification import request_email_verification, verify_email
from auth.errors import EmailInvalid, EmailTaken, RateLimited, UsernameTaken, WrongPassword
from auth.mail_errors import (
    EmailAlreadyVerified,
    EmailMissing,
    LinkInvalid,
    MailUnavailable,
)
from auth.names import parse_email
from graph.context import Info
from graph.errors import Fails, UserError, errors_field
from graph.permissions import IsAuthenticated, Public
from graph.users import User


@strawberry.type(description="Result of `requestEmailVerification`.")
class RequestEmailVerificationPayload:
    """Result of `requestEmailVerification`."""

    email_sent_to: str | None = strawberry.field(
        description="Where the link was sent.", default=None
    )
    errors: list[UserError] = errors_field()


@strawberry.input(description="The proof that mail is received.")
class VerifyEmailInput:
    """The proof that mail is received."""

    token: str = strawberry.field(description="The token out of the link in the mail.")


@strawberry.type(description="Result of `verifyEmail`. It does not log in.")
class VerifyEmailPayload:
    """Result of `verifyEmail`."""

    user: User | None = strawberry.field(
        description="The account, which may have begun by this.",
        permission_classes=[Public],
        default=None,
    )
    errors: list[UserError] = errors_field()


@strawberry.input(description="The next address, and the proof that it is you.")
class RequestEmailChangeInput:
    """The next address, and the proof that it is you."""

    new_email: str = strawberry.field(description="E-mail address.")
    password: str = strawberry.field(description="The current password; never logged.")


@strawberry.type(
    description="Result of `requestEmailChange`: the same whether or not another account has the"
    " address."
)
class RequestEmailChangePayload:
    """Result of `requestEmailChange`."""

    email_sent_to: str | None = strawberry.field(
        description="Where the link was sent: the new address.", default=None
    )
    errors: list[UserError] = errors_field()


@strawberry.input(description="The proof that mail is received at the new address.")
class ConfirmEmailChangeInput:
    """The proof that mail is received at the new address."""

    token: str = strawberry.field(description="The token out of the link in the mail.")


@strawberry.type(description="Result of `confirmEmailChange`. It does not log in.")
class ConfirmEmailChangePayload:
    """Result of `confirmEmailChange`."""

    user: User | None = strawberry.field(
        description="The account as it is now.", permission_classes=[Public], default=None
    )
    errors: list[UserError] = errors_field()


@strawberry.type
class EmailMutations:
    """Root fields about e-mail addresses."""

    @strawberry.mutation(
        description="Sends a link to one's own address, to verify it.",
        permission_classes=[IsAuthenticated],
        extensions=[Fails(MailUnavailable, EmailMissing, EmailAlreadyVerified, RateLimited)],
    )
    async def request_email_verification(
        self, info: Info
    ) -> RequestEmailVerificationPayload | None:
        viewer = info.context.viewer
        await request_email_verification(info.context.auth, viewer)
        return RequestEmailVerificationPayload(email_sent_to=viewer.user.email)

    @strawberry.mutation(
        description="Verifies an address by the link in the mail; a registration that waited for it"
        " becomes an account.",
        permission_classes=[Public],
        extensions=[Fails(LinkInvalid, UsernameTaken, EmailTaken)],
    )
    async def verify_email(
        self,
        info: Info,
        input: Annotated[
            VerifyEmailInput, strawberry.argument(description="The proof that mail is received.")
        ],
    ) -> VerifyEmailPayload:
        context = info.context
        user = await verify_email(context.auth, context.client, input.token)
        return VerifyEmailPayload(user=User.of(user))

    @strawberry.mutation(
        description="Sends a link to another address; it is the account's when that is followed.",
        permission_classes=[IsAuthenticated],
        extensions=[Fails(MailUnavailable, EmailInvalid, WrongPassword, RateLimited)],
    )
    async def request_email_change(
        self,
        info: Info,
        input: Annotated[
            RequestEmailChangeInput,
            strawberry.argument(description="The next address, and the proof that it is you."),
        ],
    ) -> RequestEmailChangePayload | None:
        context = info.context
        await request_email_change(
            context.auth, context.viewer, new_email=input.new_email, password=input.password
        )
        return RequestEmailChangePayload(email_sent_to=parse_email(input.new_email))

    @strawberry.mutation(
        description="Takes the new address, by the link in the mail, and tells the old one.",
        permission_classes=[Public],
        extensions=[Fails(LinkInvalid, EmailTaken)],
    )
    async def confirm_email_change(
        self,
        info: Info,
        input: Annotated[
            ConfirmEmailChangeInput,
            strawberry.argument(description="The proof that mail is received at the new address."),
        ],
    ) -> ConfirmEmailChangePayload:
        context = info.context
        user = await confirm_email_change(context.auth, context.client, input.token)
        return ConfirmEmailChangePayload(user=User.of(user))
