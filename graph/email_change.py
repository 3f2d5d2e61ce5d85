"""Email change: request a link to the new address, follow it."""

import strawberry

from auth.email_change import confirm_email_change, request_email_change
from auth.errors import (
    EmailInvalid,
    EmailTaken,
    LinkInvalid,
    MailUnavailable,
    PasswordRequired,
    RateLimited,
    WrongPassword,
)
from auth.names import parse_email
from graph.arguments import given
from graph.context import Info
from graph.devices import remember_device
from graph.errors.user_errors import Fails, UserError, errors_field
from graph.permissions import IsAuthenticated, Public
from graph.users import User


@strawberry.input
class RequestEmailChangeInput:
    """The new address, and the password that confirms the change."""

    new_email: str = strawberry.field(description="The new email address.")
    password: str = strawberry.field(description="The current password; never logged.")


@strawberry.type
class RequestEmailChangePayload:
    """Result of `requestEmailChange`; does not reveal if another account has the address."""

    email_sent_to: str | None = strawberry.field(
        description="The new address, which received the link.", default=None
    )
    errors: list[UserError] = errors_field()


@strawberry.input
class ConfirmEmailChangeInput:
    """The token from the link, and the password of the account."""

    token: str = strawberry.field(description="The token from the link in the email.")
    password: str | None = strawberry.field(
        description="The current password; without it, the error is `PASSWORD_REQUIRED`. Never"
        " logged.",
        default=strawberry.UNSET,
    )


@strawberry.type
class ConfirmEmailChangePayload:
    """Result of `confirmEmailChange`. Does not sign in."""

    user: User | None = strawberry.field(
        description="The account with its new address.", permission_classes=[Public], default=None
    )
    errors: list[UserError] = errors_field()


@strawberry.type
class EmailChangeMutations:
    """The mutations of email change."""

    @strawberry.mutation(
        permission_classes=[IsAuthenticated],
        extensions=[Fails(MailUnavailable, EmailInvalid, WrongPassword, RateLimited)],
    )
    async def request_email_change(
        self, info: Info, input: RequestEmailChangeInput
    ) -> RequestEmailChangePayload | None:
        """Sends a link to a new email address; the address changes when the link is confirmed."""
        context = info.context
        await request_email_change(
            context.auth, context.viewer, new_email=input.new_email, password=input.password
        )
        return RequestEmailChangePayload(email_sent_to=parse_email(input.new_email))

    @strawberry.mutation(
        permission_classes=[Public],
        extensions=[Fails(LinkInvalid, EmailTaken, PasswordRequired, WrongPassword, RateLimited)],
    )
    async def confirm_email_change(
        self, info: Info, input: ConfirmEmailChangeInput
    ) -> ConfirmEmailChangePayload:
        """Changes the email address and notifies the old address."""
        context = info.context
        user = await confirm_email_change(
            context.auth, context.client, input.token, password=given(input.password)
        )
        await remember_device(context, user.id)
        return ConfirmEmailChangePayload(user=User.of(user))
