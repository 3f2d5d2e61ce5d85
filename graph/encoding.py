"""Encoding of replies as JSON.

orjson is fast but has neither integers above 64 bits nor keys other than text, so such values take
a slower path. It also encodes dataclasses; that is turned off, because a dataclass may be a
database row with secrets.
"""

import json
from math import isfinite
from typing import Any

import orjson

_STRICT = orjson.OPT_PASSTHROUGH_DATACLASS
_TEXT_OF_KEYS: dict[object, str] = {True: "true", False: "false", None: "null"}


class NotJson(ValueError):
    """A value cannot be encoded as JSON."""


def encode_json(value: Any) -> bytes:
    """Returns the value as JSON in UTF-8. Raises NotJson, which does not quote the value."""
    try:
        return orjson.dumps(value, option=_STRICT)
    except orjson.JSONEncodeError:
        return _encode_slowly(value)


def _encode_slowly(value: Any) -> bytes:
    try:
        text = json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"))
        return text.encode()
    except NotJson:
        raise
    except (ValueError, RecursionError) as error:
        # The messages of both libraries quote the value.
        raise NotJson(type(error).__name__) from None


def _plain(value: Any) -> Any:
    """Returns the value as dicts, lists, text, numbers, booleans and None. Raises NotJson."""
    if isinstance(value, float):
        # Like orjson and JavaScript, encode NaN and infinity as null.
        return value if isfinite(value) else None
    if value is None or isinstance(value, str | bool | int):
        return value
    # Other mappings are refused: SQLAlchemy's `row._mapping` is one.
    if isinstance(value, dict):
        return {_key(key): _plain(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return [_plain(item) for item in value]
    try:
        # Dates, times and UUIDs.
        return json.loads(orjson.dumps(value, option=_STRICT))
    except orjson.JSONEncodeError:
        raise NotJson(type(value).__name__) from None


def _key(key: object) -> str:
    if isinstance(key, str):
        return key
    if isinstance(key, bool) or key is None:
        return _TEXT_OF_KEYS[key]
    if isinstance(key, int | float):
        return str(key)
    raise NotJson(type(key).__name__)
