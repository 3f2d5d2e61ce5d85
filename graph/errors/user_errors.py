"""User errors: the errors that a user can fix, returned in the `errors` of a payload."""

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any

import strawberry
from strawberry.extensions import FieldExtension
from strawberry.schema_directive import Location
from strawberry.types.base import StrawberryOptional
from strawberry.types.field import StrawberryField
from strawberry.utils.str_converters import to_camel_case

from auth.errors import (
    EmailInvalid,
    EmailTaken,
    FullNameInvalid,
    PasswordInvalid,
    PasswordTooCommon,
    PasswordTooLong,
    PasswordTooPersonal,
    PasswordTooShort,
    RateLimited,
    Refusal,
    Refusals,
    UsernameInvalid,
    UsernameTaken,
)

# Errors that several mutations share: of a new password, of names, of the form of a new user.
PASSWORD_REFUSALS = (
    PasswordTooShort,
    PasswordTooLong,
    PasswordInvalid,
    PasswordTooCommon,
    PasswordTooPersonal,
)
NAME_REFUSALS = (UsernameInvalid, UsernameTaken, EmailInvalid, EmailTaken, FullNameInvalid)
FORM_REFUSALS = (*NAME_REFUSALS, *PASSWORD_REFUSALS, RateLimited)


def refusal_classes() -> list[type[Refusal]]:
    """Returns all classes of user errors, sorted by code."""
    return sorted(Refusal.__subclasses__(), key=lambda cls: cls.code)


def _describe(cls: type[Refusal]) -> str:
    return (cls.__doc__ or "").strip()


if TYPE_CHECKING:

    class UserErrorCode(Enum):
        """Why a mutation was refused."""

else:
    # Made from the classes in `auth/errors/`; their docstrings describe the values.
    UserErrorCode = strawberry.enum(
        Enum(
            "UserErrorCode",
            {
                cls.code: strawberry.enum_value(cls.code, description=_describe(cls))
                for cls in refusal_classes()
            },
        ),
        description="Why a mutation was refused.",
    )


@strawberry.type
class UserError:
    """An error that the user can fix."""

    code: UserErrorCode = strawberry.field(
        description="Stable code for programs; new versions may add codes."
    )
    message: str = strawberry.field(description="A text for users. The wording may change.")
    field: list[str] | None = strawberry.field(
        description='Path of the input field, e.g. `["input", "password"]`; null if the error'
        " concerns the whole input."
    )
    retry_after: int | None = strawberry.field(
        description="Seconds to wait before the next attempt; set for `RATE_LIMITED` only."
    )

    @classmethod
    def of(cls, refusal: Refusal) -> "UserError":
        """Returns a refusal as a user error."""
        return cls(
            code=UserErrorCode[refusal.code],
            message=refusal.message,
            field=["input", to_camel_case(refusal.field)] if refusal.field else None,
            retry_after=(
                int(refusal.retry_after.total_seconds())
                if isinstance(refusal, RateLimited)
                else None
            ),
        )


def errors_field() -> Any:
    """Returns the field `errors` of a payload."""
    return strawberry.field(
        description="Errors that the user can fix; empty on success.", default_factory=list
    )


@strawberry.schema_directive(locations=[Location.FIELD_DEFINITION], name="fails")
class FailsDirective:
    """The codes that the `errors` of the payload may hold."""

    with_: list[UserErrorCode] = strawberry.field(name="with", description="The possible codes.")


class Fails(FieldExtension):
    """Returns the given refusals as `errors` of the payload, and lists them in the SDL.

    Any other refusal becomes `INTERNAL_SERVER_ERROR`, so the list in the SDL is complete.
    `repeatable` marks a rate-limited mutation that may occur several times in a document: it checks
    no secret and computes no password hash.
    """

    def __init__(self, *refusals: type[Refusal], repeatable: bool = False) -> None:
        self.refusals = refusals
        self.repeatable = repeatable
        self._directive = FailsDirective(with_=[UserErrorCode[r.code] for r in refusals])
        self._payload: Callable[..., Any] = dict

    def apply(self, field: StrawberryField) -> None:
        """Adds the directive to the field, and finds the class of its payload."""
        if self._directive not in field.directives:
            field.directives.append(self._directive)
        payload = field.type
        if isinstance(payload, StrawberryOptional):
            payload = payload.of_type
        self._payload = payload  # type: ignore[assignment] # payloads are classes

    async def resolve_async(
        self, next_: Callable[..., Any], source: Any, info: Any, **kwargs: Any
    ) -> Any:
        """Calls the mutation."""
        try:
            return await next_(source, info, **kwargs)
        except Refusals as refused:
            if not all(isinstance(refusal, self.refusals) for refusal in refused.refusals):
                raise
            return self._payload(errors=[UserError.of(refusal) for refusal in refused.refusals])
        except Refusal as refusal:
            if not isinstance(refusal, self.refusals):
                raise
            return self._payload(errors=[UserError.of(refusal)])
