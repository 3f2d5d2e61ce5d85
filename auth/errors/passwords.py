"""Errors about passwords: a wrong one, a missing one, or a new one that breaks the policy."""

from auth.errors.kinds import Refusal


class WrongPassword(Refusal):
    """The current password is wrong."""

    message = "The current password is wrong."
    field = "current_password"


class PasswordRequired(Refusal):
    """The link alone is not enough. Send `password`, or `newPassword` if the input has it."""

    message = "Enter the password of the account, or choose a new one."
    field = "password"


class PasswordTooShort(Refusal):
    """The password is shorter than this server allows."""

    field = "password"

    def __init__(self, minimum: int) -> None:
        self.message = f"A password must have at least {minimum} characters."
        super().__init__()


class PasswordTooLong(Refusal):
    """The password is longer than 1024 characters."""

    message = "A password must have at most 1024 characters."
    field = "password"


class PasswordInvalid(Refusal):
    """The password has a NUL character or half of a surrogate pair."""

    message = "The password has a character that is not allowed. Remove it."
    field = "password"


class PasswordTooCommon(Refusal):
    """The password is on the list of common passwords."""

    message = "This password is too common and easy to guess. Choose another one."
    field = "password"


class PasswordTooPersonal(Refusal):
    """The password contains the username, the email address or the name of the product."""

    message = "A password must not contain your username, your email address or “postern”."
    field = "password"
