"""How names are compared: one canonical form, unique in the database.

Two spellings that look the same to a person must be the same account (CVE-2019-19844), so keys are
NFKC normalised and casefolded, and characters that cannot be seen are not allowed in at all.
"""

import re
import unicodedata
from functools import lru_cache

from email_validator import EmailNotValidError, validate_email

from auth.errors import EmailInvalid, FullNameInvalid, UsernameInvalid

USERNAME_MAX_LENGTH = 64
USERNAME_MIN_LENGTH = 2
EMAIL_MAX_LENGTH = 254
FULL_NAME_MAX_LENGTH = 200

# Letters and marks by category, and yet nothing to see: fillers, joiners and variation selectors
# (Default_Ignorable_Code_Point of the Unicode Character Database).
_INVISIBLE = frozenset(
    map(chr, [0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0, *range(0x180B, 0x1810)])
) | frozenset(map(chr, [*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)]))

# What most names are: they need no look at each character.
_PLAIN_USERNAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{1,{USERNAME_MAX_LENGTH - 1}}}")
# Capitals are left to the library: it knows mailboxes that are written in small letters.
_PLAIN_LOCAL_PART = re.compile(r"[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*")
_PLAIN_DOMAIN = re.compile(r"(?:(?![Xx][Nn]--)[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,63}")


def canonical(text: str) -> str:
    """The form in which names are compared."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def lookup_key(name: str) -> str | None:
    """The key to look a username or an e-mail address up by; None if nobody can have that name."""
    if len(name) > EMAIL_MAX_LENGTH or not storable(name):
        return None
    text = name.strip()
    return canonical(_as_stored(text) if "@" in text else text)


def _as_stored(email: str) -> str:
    # Addresses are stored with their domain in one form: a login with `xn--…` must find it.
    try:
        return _normal_email(email)
    except EmailNotValidError:
        return email


def parse_username(text: str) -> str:
    """The username in its normal form (NFKC). Raises UsernameInvalid."""
    if _PLAIN_USERNAME.fullmatch(text):
        return text
    if len(text) > USERNAME_MAX_LENGTH or not storable(text):
        raise UsernameInvalid
    username = unicodedata.normalize("NFKC", text.strip())
    if not USERNAME_MIN_LENGTH <= len(username) <= USERNAME_MAX_LENGTH:
        raise UsernameInvalid
    if len(canonical(username)) > USERNAME_MAX_LENGTH:
        raise UsernameInvalid
    if not username[0].isalnum() or not all(map(_may_stand_in_username, username)):
        raise UsernameInvalid
    return username


def parse_email(text: str) -> str:
    """The e-mail address in its normal form. Raises EmailInvalid; nothing is asked of the DNS."""
    if len(text) > EMAIL_MAX_LENGTH or not storable(text):
        raise EmailInvalid
    try:
        email = _normal_email(text.strip())
    except EmailNotValidError:
        raise EmailInvalid from None
    if max(len(email), len(canonical(email))) > EMAIL_MAX_LENGTH:
        raise EmailInvalid
    return email


def _normal_email(text: str) -> str:
    local, _, domain = text.rpartition("@")
    if not _PLAIN_LOCAL_PART.fullmatch(local) or not _PLAIN_DOMAIN.fullmatch(domain):
        return validate_email(text, check_deliverability=False).normalized
    return f"{local}@{_normal_domain(domain)}"


# A million accounts have few domains. What the library says of a plain domain does not depend on
# what stands before it, as long as that is plain too.
@lru_cache(maxsize=1024)
def _normal_domain(domain: str) -> str:
    return validate_email(f"a@{domain}", check_deliverability=False).normalized.removeprefix("a@")


def parse_full_name(text: str) -> str | None:
    """The full name without blanks around it; None if nothing is left. Raises FullNameInvalid."""
    if len(text) > FULL_NAME_MAX_LENGTH:
        raise FullNameInvalid
    if text.isascii() and text.isprintable():
        return text.strip() or None
    name = unicodedata.normalize("NFC", text.strip())
    # Cc control, Cf format (bidi overrides), Cs surrogate, Zl and Zp line breaks.
    if any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for c in name):
        raise FullNameInvalid
    if len(name) > FULL_NAME_MAX_LENGTH:
        raise FullNameInvalid
    return name or None


def storable(text: str) -> bool:
    """Whether a database can hold the text: PostgreSQL refuses NUL, UTF-8 half a surrogate pair."""
    return "\0" not in text and (text.isascii() or not any("\ud800" <= c <= "\udfff" for c in text))


def _may_stand_in_username(character: str) -> bool:
    if character in "._-":
        return True
    return unicodedata.category(character)[0] in "LMN" and character not in _INVISIBLE
