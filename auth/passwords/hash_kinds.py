"""Which password hashes of other systems can be taken over: those that a login here can verify.

A hash is looked at without its password, so only its shape and its cost can be told. One that was
cut off, is of another kind, or would keep a login busy for minutes is told at its line of the file,
and not a year later by somebody who cannot log in.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

HASH_MAX_LENGTH = 512

_MAX_BCRYPT_LOG_ROUNDS = 16
_MAX_ITERATIONS = 10_000_000
# What auth/passwords/foreign_hashes.py lets hashlib have.
_MAX_SCRYPT_BYTES = 256 * 1024 * 1024
_MAX_ARGON2_KIB = 1024 * 1024
_MAX_PARALLELISM = 64
_MAX_ARGON2_PASSES = 100

Parameters = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Kind:
    pattern: re.Pattern[str]
    is_affordable: Callable[[Parameters], bool]


def _may_be_logarithm(parameters: Parameters) -> bool:
    return 4 <= parameters[0] <= _MAX_BCRYPT_LOG_ROUNDS


def _may_be_iterations(parameters: Parameters) -> bool:
    return 1 <= parameters[0] <= _MAX_ITERATIONS


def _may_be_sha_crypt(parameters: Parameters) -> bool:
    return not parameters or 1000 <= parameters[0] <= _MAX_ITERATIONS


def _may_be_scrypt(n: int, r: int, p: int) -> bool:
    is_power_of_two = n > 1 and n & (n - 1) == 0
    # OpenSSL needs a little more than the 128 * n * r bytes of the specification.
    in_bounds = r >= 1 and 1 <= p <= _MAX_PARALLELISM
    return is_power_of_two and in_bounds and 128 * r * (n + p + 2) <= _MAX_SCRYPT_BYTES


def _may_be_scrypt_of_passlib(parameters: Parameters) -> bool:
    log_n, r, p = parameters
    return log_n < 32 and _may_be_scrypt(1 << log_n, r, p)


def _may_be_argon2(parameters: Parameters) -> bool:
    kib, passes, lanes = parameters
    in_bounds = 1 <= lanes <= _MAX_PARALLELISM and 1 <= passes <= _MAX_ARGON2_PASSES
    return in_bounds and 8 * lanes <= kib <= _MAX_ARGON2_KIB


def _kind(pattern: str, is_affordable: Callable[[Parameters], bool]) -> _Kind:
    # {h} is the alphabet of crypt(3), {b} that of base64; numbers are at most ten digits.
    shorthands = {"{h}": "[./0-9A-Za-z]", "{b}": "[A-Za-z0-9+/]", "{n}": "([0-9]{1,10})"}
    for shorthand, meaning in shorthands.items():
        pattern = pattern.replace(shorthand, meaning)
    return _Kind(re.compile(pattern), is_affordable)


_BCRYPT = r"\$2[aby]\$([0-9]{2})\${h}{53}"
# 16, 24, 32, 48 or 64 bytes: a digest that was cut off seldom has one of these lengths.
_ARGON2_DIGEST = "(?:{b}{22}|{b}{32}|{b}{43}|{b}{64}|{b}{86})"
_WERKZEUG_DIGESTS = {"sha1": 40, "sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128}

_KINDS = (
    # bcrypt, as it is and as Django writes it
    _kind(rf"(?:bcrypt\$|bcrypt_sha256\$)?{_BCRYPT}", _may_be_logarithm),
    # passlib's bcrypt_sha256, which is ours too
    _kind(r"\$bcrypt-sha256\$v=2,t=2[ab],r={n}\${h}{22}\${h}{31}", _may_be_logarithm),
    _kind(r"\$bcrypt-sha256\$2[ab],{n}\${h}{22}\${h}{31}", _may_be_logarithm),
    # argon2, as it is and as Django writes it
    _kind(
        r"(?:argon2)?\$argon2(?:id|i|d)\$(?:v=(?:16|19)\$)?m={n},t={n},p={n}"
        rf"\${{b}}{{11,86}}\${_ARGON2_DIGEST}",
        _may_be_argon2,
    ),
    # Django's pbkdf2, and passlib's
    _kind(r"pbkdf2_sha256\${n}\$[0-9A-Za-z]+\${b}{43}=", _may_be_iterations),
    _kind(r"\$pbkdf2-sha256\${n}\${h}*\${h}{43}", _may_be_iterations),
    # scrypt of passlib, of Django and of Werkzeug
    _kind(r"\$scrypt\$ln={n},r={n},p={n}\${b}+\${b}{43}", _may_be_scrypt_of_passlib),
    _kind(r"scrypt\${n}\$[^$\s]+\${n}\${n}\${b}{86}==", lambda nrp: _may_be_scrypt(*nrp)),
    _kind(r"scrypt:{n}:{n}:{n}\$[^$\s]+\$[0-9a-f]{128}", lambda nrp: _may_be_scrypt(*nrp)),
    # pbkdf2 of Werkzeug
    *(
        _kind(rf"pbkdf2:{name}:{{n}}\$[^$\s]+\$[0-9a-f]{{{size}}}", _may_be_iterations)
        for name, size in _WERKZEUG_DIGESTS.items()
    ),
    # phpass (WordPress, Drupal 6): 2^7 to 2^20 rounds, written as one character
    _kind(r"\$[PH]\$[5-9A-I]{h}{30}", lambda _: True),
    _kind(r"\$6\$(?:rounds={n}\$)?{h}{0,16}\${h}{86}", _may_be_sha_crypt),
)


def problem_of_hash(stored: str) -> str | None:
    """What keeps this hash from being taken over; None if nothing does."""
    if len(stored) > HASH_MAX_LENGTH:
        return f"has more than {HASH_MAX_LENGTH} characters"
    for kind in _KINDS:
        if match := kind.pattern.fullmatch(stored):
            parameters = tuple(int(group) for group in match.groups() if group is not None)
            return None if kind.is_affordable(parameters) else "has a cost that is out of bounds"
    return "is of no kind that can be verified here, or was cut off"
