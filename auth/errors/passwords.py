"""Errors of password checks and of the password policy."""

from auth.errors.base import Refusal


class WrongPassword(Refusal):
    """The current password, asked for once more, is wrong."""

    message = "The current password is wrong."
    field = "current_password"


class PasswordRequired(Refusal):
    """The link needs the password of the account: `password`, or `newPassword` if offered."""

    message = "Enter the password of the account, or choose a new one."
    field = "password"


class PasswordTooShort(Refusal):
    """The password has fewer characters than this server asks for."""

    field = "password"

    def __init__(self, minimum: int) -> None:
        self.message = f"A password has at least {minimum} characters."
        super().__init__()


class PasswordTooLong(Refusal):
    """The password has more than 1024 characters."""

    message = "A password has at most 1024 characters."
    field = "password"


class PasswordInvalid(Refusal):
    """The password holds a character that cannot be typed: NUL or half of a surrogate pair."""

    message = "The password holds a character that is not allowed."
    field = "password"


class PasswordTooCommon(Refusal):
    """The password is on the list of those that attackers try first."""

    message = "This password is among those that are guessed first. Choose another."
    field = "password"


class PasswordTooPersonal(Refusal):
    """The password contains the username, the e-mail address or the name of the product."""

    message = "A password must not contain your username, your e-mail address or “postern”."
    field = "password"
