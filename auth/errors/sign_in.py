"""Errors of sign-in, refresh and sessions."""

from auth.errors.base import Refusal


class InvalidCredentials(Refusal):
    """Unknown user or wrong password; which of the two is never said."""

    message = "The username or the password is wrong."


class AccountDisabled(Refusal):
    """The password is right, and an operator has disabled the account."""

    message = "This account is disabled. Ask an administrator to enable it."


class PasswordChangeRequired(Refusal):
    """The password is right and was chosen by an operator: send `newPassword` too."""

    message = "Choose a password of your own."
    field = "new_password"


class TemporaryPasswordExpired(Refusal):
    """The password is right, was chosen by an operator, and was not replaced within seven days."""

    message = "The temporary password has expired. Ask an administrator for a new one."


class InvalidRefreshToken(Refusal):
    """The refresh token is not valid any more, or never was: log in again."""

    message = "Your session has ended. Log in again."
    field = "refresh_token"


class SessionNotFound(Refusal):
    """There is no active session with this id."""

    message = "There is no such session."
    field = "session_id"
