"""Errors of sign-in, refresh and sessions."""

from auth.errors.kinds import Refusal


class InvalidCredentials(Refusal):
    """The username or the password is wrong. The server does not say which."""

    message = "The username or password is wrong."


class AccountDisabled(Refusal):
    """The password is right, but an admin has disabled the account."""

    message = "This account is disabled. Ask an admin to enable it."


class PasswordChangeRequired(Refusal):
    """The password is right, but temporary. Send a `newPassword` too."""

    message = "The password is temporary. Choose your own password."
    field = "new_password"


class TemporaryPasswordExpired(Refusal):
    """The password is right, but it was temporary and has expired after seven days."""

    message = "The temporary password has expired. Ask an admin for a new one."


class InvalidRefreshToken(Refusal):
    """The refresh token is invalid, expired or already used. Sign in again."""

    message = "Your session has ended. Sign in again."
    field = "refresh_token"


class SessionNotFound(Refusal):
    """There is no active session with this ID."""

    message = "There is no such session. It may have ended already."
    field = "session_id"
