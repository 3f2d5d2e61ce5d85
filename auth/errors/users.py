"""Errors of user fields, registration, invitations and user administration."""

from auth.errors.kinds import Refusal


class UserNotFound(Refusal):
    """There is no user with this ID."""

    message = "There is no such user. The account may have been deleted."
    field = "user_id"


class UsernameInvalid(Refusal):
    """The username is too short, too long, or has a character that is not allowed."""

    message = (
        "A username must have 2 to 64 letters, digits, dots, hyphens or underscores,"
        " and start with a letter or digit."
    )
    field = "username"


class UsernameTaken(Refusal):
    """Another account has this username, or one that looks the same."""

    message = "This username is taken. Choose another one."
    field = "username"


class EmailInvalid(Refusal):
    """The text is not an email address."""

    message = "This is not a valid email address."
    field = "email"


class EmailTaken(Refusal):
    """Another account has this email address."""

    message = "Another account has this email address. Use another one."
    field = "email"


class FullNameInvalid(Refusal):
    """The full name is too long or has control characters."""

    message = "A full name must have at most 200 characters and no control characters."
    field = "full_name"


class RegistrationClosed(Refusal):
    """Users cannot create accounts themselves on this server."""

    message = "Registration is closed. Ask an admin for an account."


class InvitationRequired(Refusal):
    """Only invited users can create an account on this server."""

    message = "Registration needs an invitation. Ask an admin for one."
    field = "invitation"


class InvitationInvalid(Refusal):
    """The invitation was used, was deleted, has expired, or is for another email address."""

    message = "This invitation has expired, or it is for another email address. Ask for a new one."
    field = "invitation"


class InvitationNotFound(Refusal):
    """There is no open invitation with this ID."""

    message = "There is no such invitation. It may have been used or deleted."
    field = "invitation_id"
