"""Errors for callers that are not signed in or lack a permission."""

from typing import ClassVar

from auth.errors.base import Denial, error_code


class Unauthenticated(Denial):
    """The caller is not known; `reason` says why."""

    reason: ClassVar[str]
    message: ClassVar[str] = "Sign in to see this."

    def __init_subclass__(cls) -> None:
        cls.reason = error_code(cls.__name__)

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
