"""The base classes of the errors that the rules raise."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import ClassVar


def error_code(name: str) -> str:
    """Returns the error code of a class name: `LastAdmin` is `LAST_ADMIN`."""
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
        cls.code = error_code(cls.__name__)

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


class Denial(AuthError):
    """Something that a program must act on."""


class RateLimited(Refusal):
    """Too many attempts: wait `retryAfter` seconds."""

    message = "Too many attempts at the moment. Try again shortly."

    def __init__(self, retry_after: timedelta) -> None:
        super().__init__()
        self.retry_after = retry_after


class EditConflict(Refusal):
    """Somebody else has changed it since `version` was read: read it again, then decide."""

    message = "Somebody else has changed this meanwhile. Look at it again."
    field = "version"
