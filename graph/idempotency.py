"""The `Idempotency-Key` header.

https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

import re

from graph.errors.graphql_errors import BadUserInput

HEADER = b"idempotency-key"

# The draft requires a quoted string (RFC 9651, 3.3.3). Most clients send the bare text.
_QUOTED = re.compile(rb'"((?:[ !#-\[\]-~]|\\["\\]){0,510})"')
_BARE = re.compile(rb"[A-Za-z0-9!#$%&'*+./:=^_`|~-]{0,255}")
_ESCAPE = re.compile(r'\\(["\\])')
_MIN_LENGTH, _MAX_LENGTH = 16, 255


class InvalidIdempotencyKey(BadUserInput):
    """The header is not an idempotency key."""

    def __init__(self) -> None:
        super().__init__(
            f"Idempotency-Key must have {_MIN_LENGTH} to {_MAX_LENGTH} visible ASCII characters,"
            " with or without quotes. Send a random value, for instance a UUID."
        )


def parse_idempotency_key(header: bytes | None) -> str | None:
    """Returns the key of the header, or None without a header. Raises InvalidIdempotencyKey.

    A quoted and a bare key with the same characters are the same key.
    """
    if header is None:
        return None
    key = _read(header.strip(b" \t"))
    if key is None or not _MIN_LENGTH <= len(key) <= _MAX_LENGTH:
        raise InvalidIdempotencyKey
    return key


def _read(value: bytes) -> str | None:
    if quoted := _QUOTED.fullmatch(value):
        return _ESCAPE.sub(r"\1", quoted[1].decode("ascii"))
    return value.decode("ascii") if _BARE.fullmatch(value) else None
