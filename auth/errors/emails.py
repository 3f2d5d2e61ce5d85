"""Errors of emails and of the links in them."""

from auth.errors.kinds import Refusal


class LinkInvalid(Refusal):
    """The link was used, has expired, was replaced by a newer one, or the account has changed."""

    message = "This link has expired or was used already. Request a new one."
    field = "token"


class MailUnavailable(Refusal):
    """The server is not configured to send emails."""

    message = "This server does not send emails. Ask an admin."


class EmailMissing(Refusal):
    """The account has no email address."""

    message = "The account has no email address. Add one first."


class EmailAlreadyVerified(Refusal):
    """The email address is already verified. There is nothing to do."""

    message = "The email address is already verified."
