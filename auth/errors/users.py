"""Errors of user fields, registration and user administration."""

from auth.errors.base import Refusal


class UserNotFound(Refusal):
    """There is no user with this id."""

    message = "There is no such user."
    field = "user_id"


class UsernameInvalid(Refusal):
    """The username is too short, too long, or holds a character that is not allowed."""

    message = (
        "A username has 2 to 64 letters, digits, dots, hyphens or underscores,"
        " and starts with a letter or a digit."
    )
    field = "username"


class UsernameTaken(Refusal):
    """Another account has this username, perhaps in another spelling."""

    message = "This username is taken."
    field = "username"


class EmailInvalid(Refusal):
    """The text is not an e-mail address."""

    message = "This is not a valid e-mail address."
    field = "email"


class EmailTaken(Refusal):
    """Another account has this e-mail address."""

    message = "An account with this e-mail address exists."
    field = "email"


class FullNameInvalid(Refusal):
    """The full name is too long or holds control characters."""

    message = "A full name has at most 200 characters and no control characters."
    field = "full_name"


class RegistrationClosed(Refusal):
    """People cannot create accounts themselves on this server."""

    message = "Registration is closed. Ask an administrator for an account."


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
