"""Base classes of the errors that the auth layer raises, and errors that many use cases share.

A *refusal* is an error that the user can fix: GraphQL returns it in the payload's `errors`. A
*denial* is an error that the client must handle: GraphQL returns it as an error with a code.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import ClassVar


def error_code(class_name: str) -> str:
    """Returns the error code of a class: that of `LastAdmin` is `LAST_ADMIN`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", class_name).upper()


class AuthError(Exception):
    """The base class of refusals and denials."""


class Refusal(AuthError):
    """An error that the user can fix.

    Programs decide by `code`, which is stable. `message` is for users; its wording may change.
    `field` is the name of the wrong input field; None if the error is not about one field.
    """

    code: ClassVar[str]
    message: str = ""
    field: str | None = None

    def __init_subclass__(cls) -> None:
        cls.code = error_code(cls.__name__)

    def __init__(self) -> None:
        super().__init__(self.message)


class Refusals(AuthError):
    """Several refusals of one input, each with its field."""

    def __init__(self, *refusals: Refusal) -> None:
        super().__init__(", ".join(refusal.code for refusal in refusals))
        self.refusals = refusals


class Denial(AuthError):
    """An error that the client must handle."""


@contextmanager
def as_field(field: str) -> Iterator[None]:
    """Renames the field of the refusals raised inside, to the name that the input uses."""
    try:
        yield
    except Refusal as refusal:
        refusal.field = refusal.field and field
        raise
    except Refusals as several:
        for each in several.refusals:
            each.field = each.field and field
        raise


class RateLimited(Refusal):
    """There were too many attempts. `retryAfter` is the number of seconds to wait."""

    message = "Too many attempts. Wait a moment and try again."

    def __init__(self, retry_after: timedelta) -> None:
        super().__init__()
        self.retry_after = retry_after


class EditConflict(Refusal):
    """The object has changed since the client read this `version` of it."""

    message = "Someone else has changed this. Load it again and repeat your change."
    field = "version"
