"""Errors of emails and of the links in them."""

from auth.errors.base import Refusal


class LinkInvalid(Refusal):
    """The link was used, is too old, a newer one took its place, or the account has changed."""

    message = "This link is not valid any more. Ask for a new one."
    field = "token"


class MailUnavailable(Refusal):
    """The server has no way to send mail."""

    message = "This server sends no mail. Ask an administrator."


class EmailMissing(Refusal):
    """The account has no e-mail address."""

    message = "The account has no e-mail address."


class EmailAlreadyVerified(Refusal):
    """The e-mail address is verified: nothing is left to do."""

    message = "The e-mail address is verified already."
