"""Every way in which the rules say no, one class each.

A *refusal* is something that a person can put right; GraphQL shows it as data. A *denial* is
something that a program must act on; GraphQL shows it as an error with a code.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import ClassVar


def _screaming(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()


class AuthError(Exception):
    """A rule said no."""


class Refusal(AuthError):
    """Something that a person can put right.

    `message` is for people and its wording may change; `code` is for programs and does not.
    `field` names the input at fault, or is None when it is the whole.
    """

    code: ClassVar[str]
    message: str = ""
    field: str | None = None

    def __init_subclass__(cls) -> None:
        cls.code = _screaming(cls.__name__)

    def __init__(self) -> None:
        super().__init__(self.message)


class Refusals(AuthError):
    """Several refusals of one form, each at its field."""

    def __init__(self, *refusals: Refusal) -> None:
        super().__init__(", ".join(refusal.code for refusal in refusals))
        self.refusals = refusals


@contextmanager
def about_field(field: str) -> Iterator[None]:
    """Refusals inside that name a field name this one: as the input of the caller has it."""
    try:
        yield
    except Refusal as refusal:
        refusal.field = refusal.field and field
        raise
    except Refusals as several:
        for each in several.refusals:
            each.field = each.field and field
        raise


class InvalidCredentials(Refusal):
    """Unknown user or wrong password; which of the two is never said."""

    message = "The username or the password is wrong."


class AccountDisabled(Refusal):
    """The password is right, and an operator has disabled the account."""

    message = "This account is disabled. Ask an administrator to enable it."


class RateLimited(Refusal):
    """Too many attempts: wait `retryAfter` seconds."""

    message = "Too many attempts at the moment. Try again shortly."

    def __init__(self, retry_after: timedelta) -> None:
        super().__init__()
        self.retry_after = retry_after


class InvalidRefreshToken(Refusal):
    """The refresh token is not valid any more, or never was: log in again."""

    message = "Your session has ended. Log in again."
    field = "refresh_token"


class SessionNotFound(Refusal):
    """There is no active session with this id."""

    message = "There is no such session."
    field = "session_id"


class RegistrationClosed(Refusal):
    """People cannot create accounts themselves on this server."""

    message = "Registration is closed. Ask an administrator for an account."


class EditConflict(Refusal):
    """Somebody else has changed it since `version` was read: read it again, then decide."""

    message = "Somebody else has changed this meanwhile. Look at it again."
    field = "version"


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


class WrongPassword(Refusal):
    """The current password, asked for once more, is wrong."""

    message = "The current password is wrong."
    field = "current_password"


class PasswordRequired(Refusal):
    """The link needs the password of the account: `password`, or `newPassword` if offered."""

    message = "Enter the password of the account, or choose a new one."
    field = "password"


class PasswordChangeRequired(Refusal):
    """The password is right and was chosen by an operator: send `newPassword` too."""

    message = "Choose a password of your own."
    field = "new_password"


class TemporaryPasswordExpired(Refusal):
    """The password is right, was chosen by an operator, and was not replaced within seven days."""

    message = "The temporary password has expired. Ask an administrator for a new one."


class UserNotFound(Refusal):
    """There is no user with this id."""

    message = "There is no such user."
    field = "user_id"


class RoleNotFound(Refusal):
    """There is no role with one of these ids."""

    message = "There is no such role."
    field = "role_ids"


class LastAdmin(Refusal):
    """The change would leave no active administrator."""

    message = "This is the last active administrator. Make somebody else one first."


class Denial(AuthError):
    """Something that a program must act on."""


class Unauthenticated(Denial):
    """The caller is not known; `reason` says why."""

    reason: ClassVar[str]
    message: ClassVar[str] = "Sign in to see this."

    def __init_subclass__(cls) -> None:
        cls.reason = _screaming(cls.__name__)

    def __init__(self) -> None:
        super().__init__(self.message)


class TokenMissing(Unauthenticated):
    """No bearer token came with the request."""


class TokenInvalid(Unauthenticated):
    """The token is not one of ours, or was tampered with."""

    message = "The access token is not valid. Sign in again."


class TokenExpired(Unauthenticated):
    """The token was ours and its time is over."""

    message = "The access token has expired. Refresh it or sign in again."


class SessionRevoked(Unauthenticated):
    """The session of the token has been ended."""

    message = "The session has ended. Sign in again."


class UserDisabled(Unauthenticated):
    """An operator has disabled the account."""

    message = "The account is disabled."


class Forbidden(Denial):
    """The caller is known and may not do this; `required` says what it takes."""

    def __init__(self, required: str) -> None:
        super().__init__(f"This needs {required}.")
        self.required = required
