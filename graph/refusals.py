"""Refusals that several mutations share."""

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
    UsernameInvalid,
    UsernameTaken,
)

# What can be wrong with a new password.
PASSWORD_REFUSALS = (
    PasswordTooShort,
    PasswordTooLong,
    PasswordInvalid,
    PasswordTooCommon,
    PasswordTooPersonal,
)
# What can be wrong with the form of an account.
NAME_REFUSALS = (UsernameInvalid, UsernameTaken, EmailInvalid, EmailTaken, FullNameInvalid)
FORM_REFUSALS = (*NAME_REFUSALS, *PASSWORD_REFUSALS, RateLimited)
