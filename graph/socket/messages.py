"""Parses the messages of a socket.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

from collections.abc import Mapping
from typing import Any

import orjson

from auth.errors import SessionRevoked, Unauthenticated, UserDisabled
from graph.context import read_bearer_token
from graph.encoding import encode_json

MAX_ID_LENGTH = 255
# RFC 6455, 5.5: a control frame has at most 125 bytes, two of them for the code.
MAX_REASON_BYTES = 123
_TOKEN_KEYS = frozenset({"authorization", "authtoken"})


class CloseSocket(Exception):
    """The socket must be closed with this code and reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")

    @classmethod
    def of(cls, denial: Unauthenticated) -> "CloseSocket":
        """Returns 4403 if a new token helps, so clients reconnect; otherwise 4401."""
        is_final = isinstance(denial, SessionRevoked | UserDisabled)
        return cls(4401 if is_final else 4403, denial.reason)


def read_message(text: str | None) -> Mapping[str, Any]:
    """Parses a message, an object with a type. Raises CloseSocket."""
    if text is None:
        raise CloseSocket(4400, "Messages must be text")
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise CloseSocket(4400, "Messages must be JSON") from None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise CloseSocket(4400, "A message must be an object with a type")
    return message


def encode_message(message: Mapping[str, Any]) -> str:
    """Encodes a message. Raises NotJson."""
    return encode_json(message).decode()


def read_id(message: Mapping[str, Any]) -> str:
    """Returns the ID of the operation of a message. Raises CloseSocket."""
    operation_id = message.get("id")
    if not isinstance(operation_id, str) or not operation_id:
        raise CloseSocket(4400, "The message needs the ID of an operation")
    if len(operation_id) > MAX_ID_LENGTH:
        raise CloseSocket(4400, f"The ID exceeds the limit of {MAX_ID_LENGTH} characters")
    return operation_id


def read_payload(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the payload of a `subscribe` message. Raises CloseSocket."""
    payload = message.get("payload")
    if not isinstance(payload, dict):
        raise CloseSocket(4400, "A subscribe message needs a payload")
    return payload


def has_token(payload: object) -> bool:
    """Returns whether a payload has a bearer token."""
    return _find_token(payload) is not None


def read_token(payload: object) -> str:
    """Returns the bearer token of a payload. Raises TokenMissing, TokenInvalid.

    Clients write the key in upper or lower case, and the value with or without `Bearer`.
    """
    text = _find_token(payload)
    if text is None:
        return read_bearer_token(None)
    return read_bearer_token((text if " " in text else f"Bearer {text}").encode())


def _find_token(payload: object) -> str | None:
    if not isinstance(payload, dict):
        return None
    for name, value in payload.items():
        if name.lower() in _TOKEN_KEYS and isinstance(value, str) and value.strip():
            return value.strip()
    return None
