"""What clients send over a socket, read strictly: a message that makes no sense ends it.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from auth.errors import SessionRevoked, Unauthenticated, UserDisabled
from graph.context import read_bearer_token

_TOKEN_KEYS = frozenset({"authorization", "authtoken"})


class SocketEnd(Exception):
    """The socket is to be closed, with this code and reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason

    @classmethod
    def of(cls, denial: Unauthenticated) -> "SocketEnd":
        """4401 where no fresh token helps: clients do not come back. Otherwise 4403: they do."""
        no_use = isinstance(denial, SessionRevoked | UserDisabled)
        return cls(4401 if no_use else 4403, denial.reason)


@dataclass(frozen=True, slots=True)
class Subscribe:
    """What a client wants to hear of."""

    id: str
    query: str | None
    document_id: str | None
    variables: dict[str, Any] | None
    operation_name: str | None


def read_message(text: str | None) -> Mapping[str, Any]:
    """A message: an object with a type. Raises SocketEnd."""
    if text is None:
        raise SocketEnd(4400, "Messages must be text")
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise SocketEnd(4400, "Messages must be JSON") from None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise SocketEnd(4400, "A message is an object with a type")
    return message


def read_subscribe(message: Mapping[str, Any]) -> Subscribe:
    """The operation of a `subscribe` message. Raises SocketEnd."""
    payload = message.get("payload")
    if not isinstance(payload, dict):
        raise SocketEnd(4400, "A subscribe message needs a payload")
    query, document_id = payload.get("query"), payload.get("documentId")
    if not isinstance(query if document_id is None else document_id, str):
        raise SocketEnd(4400, "The payload needs a query, or a documentId, as text")
    variables, operation_name = payload.get("variables"), payload.get("operationName")
    if not isinstance(variables, dict | None):
        raise SocketEnd(4400, "The variables must be an object")
    if not isinstance(operation_name, str | None):
        raise SocketEnd(4400, "The operationName must be text")
    return Subscribe(read_id(message), query, document_id, variables, operation_name)


def read_id(message: Mapping[str, Any]) -> str:
    """The id of an operation. Raises SocketEnd."""
    operation_id = message.get("id")
    if not isinstance(operation_id, str) or not operation_id:
        raise SocketEnd(4400, "A message of an operation needs its id")
    return operation_id


def has_token(payload: object) -> bool:
    """Whether a payload holds a token at all."""
    return _find_token(payload) is not None


def read_token(payload: object) -> str:
    """The bearer token of a payload. Raises TokenMissing, TokenInvalid.

    Clients write the key in every case, and the value with or without `Bearer`.
    """
    text = _find_token(payload)
    if text is None:
        return read_bearer_token(None)
    return read_bearer_token((text if " " in text else f"Bearer {text}").encode())


def _find_token(payload: object) -> str | None:
    if not isinstance(payload, dict):
        return None
    for name, value in payload.items():
        if name.lower() in _TOKEN_KEYS and isinstance(value, str):
            return value.strip()
    return None
