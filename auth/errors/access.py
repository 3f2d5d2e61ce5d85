"""Errors for callers who are not signed in or lack a permission."""

from typing import ClassVar

from auth.errors.kinds import Denial, error_code


class Unauthenticated(Denial):
    """The caller is not signed in. `reason` says why."""

    reason: ClassVar[str]
    message: ClassVar[str] = "Sign in to see this."

    def __init_subclass__(cls) -> None:
        cls.reason = error_code(cls.__name__)

    def __init__(self) -> None:
        super().__init__(self.message)


class TokenMissing(Unauthenticated):
    """The request has no bearer token."""


class TokenInvalid(Unauthenticated):
    """The access token was not issued by this server, or it was changed."""

    message = "The access token is not valid. Sign in again."


class TokenExpired(Unauthenticated):
    """The access token has expired."""

    message = "The access token has expired. Refresh it or sign in again."


class SessionRevoked(Unauthenticated):
    """The session of the access token has ended."""

    message = "The session has ended. Sign in again."


class UserDisabled(Unauthenticated):
    """An admin has disabled the account."""

    message = "The account is disabled. Ask an admin to enable it."


class Forbidden(Denial):
    """The caller lacks a permission. `required` says which."""

    def __init__(self, required: str) -> None:
        super().__init__(f"This needs {required}.")
        self.required = required
