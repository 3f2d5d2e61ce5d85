"""Parsing and comparison of usernames, email addresses and full names.

Names are compared by a canonical form (NFKC, casefolded) that is unique in the database. Otherwise
two spellings that look the same could be two accounts (CVE-2019-19844). Invisible characters are
not allowed.
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

# Letters and marks by category, but invisible: fillers, joiners and variation selectors
# (Default_Ignorable_Code_Point of the Unicode Character Database).
_INVISIBLE = frozenset(
    map(chr, [0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0, *range(0x180B, 0x1810)])
) | frozenset(map(chr, [*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)]))

# A fast path for most names, which skips the check of each character.
_PLAIN_USERNAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{1,{USERNAME_MAX_LENGTH - 1}}}")
# Without capitals, because email-validator lowercases some local parts (RFC 2142 mailboxes).
_PLAIN_LOCAL_PART = re.compile(r"[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*")
_PLAIN_DOMAIN = re.compile(r"(?:(?![Xx][Nn]--)[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,63}")


def canonical(text: str) -> str:
    """Returns the form in which names are compared."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def lookup_key(name: str) -> str | None:
    """Returns the key of a username or email address, or None if no account can have that name."""
    if len(name) > EMAIL_MAX_LENGTH or not storable(name):
        return None
    text = name.strip()
    return canonical(_as_stored(text) if "@" in text else text)


def _as_stored(email: str) -> str:
    # Stored addresses have a normalized domain. A login with `xn--…` must find them.
    try:
        return _normal_email(email)
    except EmailNotValidError:
        return email


def parse_username(text: str) -> str:
    """Returns the normalized username (NFKC). Raises UsernameInvalid."""
    if _PLAIN_USERNAME.fullmatch(text):
        return text
    if len(text) > USERNAME_MAX_LENGTH or not storable(text):
        raise UsernameInvalid
    username = unicodedata.normalize("NFKC", text.strip())
    if not USERNAME_MIN_LENGTH <= len(username) <= USERNAME_MAX_LENGTH:
        raise UsernameInvalid
    if len(canonical(username)) > USERNAME_MAX_LENGTH:
        raise UsernameInvalid
    if not username[0].isalnum() or not all(map(_is_username_character, username)):
        raise UsernameInvalid
    return username


def parse_email(text: str) -> str:
    """Returns the normalized email address, without DNS queries. Raises EmailInvalid."""
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


# Cached, because many accounts share few domains. The result for a plain domain does not depend on
# a plain local part.
@lru_cache(maxsize=1024)
def _normal_domain(domain: str) -> str:
    return validate_email(f"a@{domain}", check_deliverability=False).normalized.removeprefix("a@")


def parse_full_name(text: str) -> str | None:
    """Returns the trimmed full name, or None if it is empty. Raises FullNameInvalid."""
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
    """Returns whether a database can store the text: no NUL and no half of a surrogate pair."""
    return "\0" not in text and (text.isascii() or not any("\ud800" <= c <= "\udfff" for c in text))


def _is_username_character(character: str) -> bool:
    if character in "._-":
        return True
    return unicodedata.category(character)[0] in "LMN" and character not in _INVISIBLE
