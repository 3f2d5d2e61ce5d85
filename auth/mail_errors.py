"""Ways in which what needs a mail, or its link, is refused."""

from auth.errors import Refusal


class InvitationRequired(Refusal):
    """Only who was invited may create an account on this server."""

    message = "Registration is by invitation. Ask an administrator for one."
    field = "invitation"


class InvitationInvalid(Refusal):
    """The invitation was used, withdrawn or is too old, or it is for another address."""

    message = "This invitation is not valid any more, or it is for another e-mail address."
    field = "invitation"


class InvitationNotFound(Refusal):
    """There is no open invitation with this id."""

    message = "There is no such invitation."
    field = "invitation_id"


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
