"""Password hashes of other systems that passlib does not know: Werkzeug's, and Django's scrypt.

Accounts that were imported keep their hash until their owner logs in; then it is replaced.
"""

import base64
import hashlib
import hmac

# Above what those systems use by default, below what would let one row exhaust the machine.
_SCRYPT_MAX_MEMORY_BYTES = 256 * 1024 * 1024

# What hashlib and passlib raise for a hash that was cut, mistyped or made up.
UNREADABLE = (ValueError, TypeError, LookupError, ArithmeticError, AssertionError, MemoryError)


def is_foreign(stored: str) -> bool:
    """Whether the hash is of a kind that `verify_foreign` knows."""
    return stored.startswith(("scrypt:", "pbkdf2:", "scrypt$"))


def verify_foreign(password: str, stored: str) -> bool:
    """Whether the password is the one of the hash; a hash that cannot be read matches nothing."""
    try:
        if stored.startswith("scrypt$"):
            return _verify_django_scrypt(password, stored)
        return _verify_werkzeug(password, stored)
    except UNREADABLE:
        return False


def _verify_werkzeug(password: str, stored: str) -> bool:
    # scrypt:N:r:p$salt$hex and pbkdf2:digest:iterations$salt$hex (werkzeug.security)
    method, salt, wanted_hex = stored.split("$")
    kind, *parameters = method.split(":")
    wanted = bytes.fromhex(wanted_hex)
    if kind == "scrypt":
        n, r, p = map(int, parameters)
        return hmac.compare_digest(_scrypt(password, salt, n, r, p, len(wanted)), wanted)
    digest, iterations = parameters
    given = hashlib.pbkdf2_hmac(digest, password.encode(), salt.encode(), int(iterations))
    return hmac.compare_digest(given, wanted)


def _verify_django_scrypt(password: str, stored: str) -> bool:
    # scrypt$N$salt$r$p$base64 (django.contrib.auth.hashers.ScryptPasswordHasher)
    _, n, salt, r, p, wanted_base64 = stored.split("$")
    wanted = base64.b64decode(wanted_base64, validate=True)
    given = _scrypt(password, salt, int(n), int(r), int(p), len(wanted))
    return hmac.compare_digest(given, wanted)


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
