"""Verifies password hashes that passlib does not support: of Werkzeug, and scrypt of Django.

Imported users keep their hash until their next sign-in, which replaces it.
"""

import base64
import hashlib
import hmac

# More than those systems use by default. It bounds the memory that one sign-in can use.
_SCRYPT_MAX_MEMORY_BYTES = 256 * 1024 * 1024

# The exceptions of hashlib and passlib for malformed hashes.
MALFORMED_HASH_ERRORS = (
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AssertionError,
    MemoryError,
)


def is_foreign(stored: str) -> bool:
    """Returns whether `verify_foreign` supports the hash."""
    return stored.startswith(("scrypt:", "pbkdf2:", "scrypt$"))


def verify_foreign(password: str, stored: str) -> bool:
    """Returns whether the password matches the hash. A malformed hash matches no password."""
    try:
        if stored.startswith("scrypt$"):
            return _verify_django_scrypt(password, stored)
        return _verify_werkzeug(password, stored)
    except MALFORMED_HASH_ERRORS:
        return False


def _verify_werkzeug(password: str, stored: str) -> bool:
    # scrypt:N:r:p$salt$hex and pbkdf2:digest:iterations$salt$hex (werkzeug.security)
    method, salt, expected_hex = stored.split("$")
    kind, *parameters = method.split(":")
    expected = bytes.fromhex(expected_hex)
    if kind == "scrypt":
        n, r, p = map(int, parameters)
        return hmac.compare_digest(_scrypt(password, salt, n, r, p, len(expected)), expected)
    digest, iterations = parameters
    actual = hashlib.pbkdf2_hmac(digest, password.encode(), salt.encode(), int(iterations))
    return hmac.compare_digest(actual, expected)


def _verify_django_scrypt(password: str, stored: str) -> bool:
    # scrypt$N$salt$r$p$base64 (django.contrib.auth.hashers.ScryptPasswordHasher)
    _, n, salt, r, p, expected_base64 = stored.split("$")
    expected = base64.b64decode(expected_base64, validate=True)
    actual = _scrypt(password, salt, int(n), int(r), int(p), len(expected))
    return hmac.compare_digest(actual, expected)


def _scrypt(password: str, salt: str, n: int, r: int, p: int, length: int) -> bytes:
    return hashlib.scrypt(
        password.encode(),
        salt=salt.encode(),
        n=n,
        r=r,
        p=p,
        dklen=length,
        maxmem=_SCRYPT_MAX_MEMORY_BYTES,
    )
