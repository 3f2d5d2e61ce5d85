"""Checks which password hashes of other systems can be imported.

Without the password only the format and the cost of a hash can be checked. A hash that is
truncated, unsupported, or too expensive to verify is reported at the import. Otherwise the user
would find out at the next sign-in.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

HASH_MAX_LENGTH = 512

_MAX_BCRYPT_LOG_ROUNDS = 16
_MAX_ITERATIONS = 10_000_000
# The limit of auth/passwords/foreign_hashes.py.
_MAX_SCRYPT_BYTES = 256 * 1024 * 1024
_MAX_ARGON2_KIB = 1024 * 1024
_MAX_PARALLELISM = 64
_MAX_ARGON2_PASSES = 100

Parameters = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class HashFormat:
    """A hash format: its pattern, and a check of the parameters that the pattern matches."""

    pattern: re.Pattern[str]
    is_affordable: Callable[[Parameters], bool]


def _is_bcrypt_cost(parameters: Parameters) -> bool:
    return 4 <= parameters[0] <= _MAX_BCRYPT_LOG_ROUNDS


def _is_iteration_count(parameters: Parameters) -> bool:
    return 1 <= parameters[0] <= _MAX_ITERATIONS


def _is_sha_crypt_cost(parameters: Parameters) -> bool:
    return not parameters or 1000 <= parameters[0] <= _MAX_ITERATIONS


def _is_scrypt_cost(n: int, r: int, p: int) -> bool:
    is_power_of_two = n > 1 and n & (n - 1) == 0
    # OpenSSL needs slightly more than the 128 * n * r bytes of the specification.
    in_bounds = r >= 1 and 1 <= p <= _MAX_PARALLELISM
    return is_power_of_two and in_bounds and 128 * r * (n + p + 2) <= _MAX_SCRYPT_BYTES


def _is_passlib_scrypt_cost(parameters: Parameters) -> bool:
    log_n, r, p = parameters
    return log_n < 32 and _is_scrypt_cost(1 << log_n, r, p)


def _is_argon2_cost(parameters: Parameters) -> bool:
    kib, passes, lanes = parameters
    in_bounds = 1 <= lanes <= _MAX_PARALLELISM and 1 <= passes <= _MAX_ARGON2_PASSES
    return in_bounds and 8 * lanes <= kib <= _MAX_ARGON2_KIB


def _format(pattern: str, is_affordable: Callable[[Parameters], bool]) -> HashFormat:
    # {h} is the alphabet of crypt(3), {b} of base64, {n} a number of up to ten digits.
    placeholders = {"{h}": "[./0-9A-Za-z]", "{b}": "[A-Za-z0-9+/]", "{n}": "([0-9]{1,10})"}
    for placeholder, expression in placeholders.items():
        pattern = pattern.replace(placeholder, expression)
    return HashFormat(re.compile(pattern), is_affordable)


_BCRYPT = r"\$2[aby]\$([0-9]{2})\${h}{53}"
# 16, 24, 32, 48 or 64 bytes. A truncated digest rarely has one of these lengths.
_ARGON2_DIGEST = "(?:{b}{22}|{b}{32}|{b}{43}|{b}{64}|{b}{86})"
_WERKZEUG_DIGESTS = {"sha1": 40, "sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128}

HASH_FORMATS = (
    # bcrypt, and bcrypt of Django
    _format(rf"(?:bcrypt\$|bcrypt_sha256\$)?{_BCRYPT}", _is_bcrypt_cost),
    # bcrypt_sha256 of passlib, which Postern uses too
    _format(r"\$bcrypt-sha256\$v=2,t=2[ab],r={n}\${h}{22}\${h}{31}", _is_bcrypt_cost),
    _format(r"\$bcrypt-sha256\$2[ab],{n}\${h}{22}\${h}{31}", _is_bcrypt_cost),
    # argon2, and argon2 of Django
    _format(
        r"(?:argon2)?\$argon2(?:id|i|d)\$(?:v=(?:16|19)\$)?m={n},t={n},p={n}"
        rf"\${{b}}{{11,86}}\${_ARGON2_DIGEST}",
        _is_argon2_cost,
    ),
    # pbkdf2 of Django and of passlib
    _format(r"pbkdf2_sha256\${n}\$[0-9A-Za-z]+\${b}{43}=", _is_iteration_count),
    _format(r"\$pbkdf2-sha256\${n}\${h}*\${h}{43}", _is_iteration_count),
    # scrypt of passlib, of Django and of Werkzeug
    _format(r"\$scrypt\$ln={n},r={n},p={n}\${b}+\${b}{43}", _is_passlib_scrypt_cost),
    _format(r"scrypt\${n}\$[^$\s]+\${n}\${n}\${b}{86}==", lambda nrp: _is_scrypt_cost(*nrp)),
    _format(r"scrypt:{n}:{n}:{n}\$[^$\s]+\$[0-9a-f]{128}", lambda nrp: _is_scrypt_cost(*nrp)),
    # pbkdf2 of Werkzeug
    *(
        _format(rf"pbkdf2:{name}:{{n}}\$[^$\s]+\$[0-9a-f]{{{size}}}", _is_iteration_count)
        for name, size in _WERKZEUG_DIGESTS.items()
    ),
    # phpass (WordPress, Drupal 6): 2^7 to 2^20 rounds, written as one character
    _format(r"\$[PH]\$[5-9A-I]{h}{30}", lambda _: True),
    _format(r"\$6\$(?:rounds={n}\$)?{h}{0,16}\${h}{86}", _is_sha_crypt_cost),
)


def find_hash_problem(stored: str) -> str | None:
    """Returns why the hash cannot be imported; None if it can be."""
    if len(stored) > HASH_MAX_LENGTH:
        return f"has more than {HASH_MAX_LENGTH} characters"
    for hash_format in HASH_FORMATS:
        if match := hash_format.pattern.fullmatch(stored):
            parameters = tuple(int(group) for group in match.groups() if group is not None)
            is_affordable = hash_format.is_affordable(parameters)
            return None if is_affordable else "has a cost that is not supported"
    return "is not a supported password hash, or is truncated"
