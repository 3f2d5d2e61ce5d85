"""Writes replies as JSON.

orjson is fast, but stricter than JSON: it has no integers above 64 bits and no keys but text. It is
also more generous: it writes dataclasses, and a row of a database may be one.
"""

import json
from math import isfinite
from typing import Any

import orjson

_STRICT = orjson.OPT_PASSTHROUGH_DATACLASS
_TEXT_OF_KEYS: dict[object, str] = {True: "true", False: "false", None: "null"}


class NotJson(ValueError):
    """A value has no form in JSON."""


def encode_json(value: Any) -> bytes:
    """The value as JSON in UTF-8. Raises NotJson, without quoting the value."""
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
    """The same value, made of what JSON has. Raises NotJson."""
    if isinstance(value, float):
        # As orjson and JavaScript write what JSON has no number for.
        return value if isfinite(value) else None
    if value is None or isinstance(value, str | bool | int):
        return value
    # No other mapping: SQLAlchemy makes one of a row.
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
