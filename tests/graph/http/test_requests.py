"""Requests: headers, the client, and the cache of bodies."""

from typing import Any

import pytest

from graph.http.requests import (
    MAX_CACHED_BODIES,
    MAX_CACHED_BODY_BYTES,
    MAX_USER_AGENT_BYTES,
    BodyReader,
    RequestRefused,
    client_of,
    read_headers,
    read_request,
)

ASK = '{"query": "{ me { id } }"}'


def scope_with(*headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"headers": list(headers), "client": ("::ffff:192.0.2.7", 50000)}


def test_repeated_headers_are_joined() -> None:
    headers = read_headers(scope_with((b"accept", b"a"), (b"host", b"h"), (b"accept", b"b")))
    assert headers == {b"accept": b"a, b", b"host": b"h"}


def test_client_has_plain_address_and_shortened_user_agent() -> None:
    client = client_of(scope_with((b"user-agent", b"x" * 2000)))
    assert (client.address, client.user_agent) == ("192.0.2.7", "x" * MAX_USER_AGENT_BYTES)


def test_client_without_peer_and_user_agent_is_unknown() -> None:
    client = client_of({"headers": []})
    assert (client.address, client.user_agent) == (None, None)


@pytest.mark.parametrize("empty", [None, [], ""])
def test_empty_variables_are_none(empty: Any) -> None:
    request = read_request({"query": "{ a }", "variables": empty, "extensions": empty})
    assert (request.variables, request.extensions) == (None, None)


def test_empty_query_beside_document_id_is_ignored() -> None:
    request = read_request({"query": "", "documentId": "x"})
    assert (request.query, request.document_id) == (None, "x")


def test_query_beside_document_id_is_refused() -> None:
    with pytest.raises(RequestRefused, match="not both"):
        read_request({"query": "{ a }", "documentId": "x"})


def test_body_with_variables_is_not_cached() -> None:
    reader = BodyReader()
    headers = {b"content-type": b"application/json"}
    secret = b'{"query": "query ($p: String) { __typename }", "variables": {"p": "hunter2"}}'
    assert reader.read(headers, ASK.encode()) is reader.read(headers, ASK.encode())
    assert reader.read(headers, secret) is not reader.read(headers, secret)
    assert len(reader) == 1


def test_body_cache_is_bounded() -> None:
    reader = BodyReader()
    headers = {b"content-type": b"application/json"}
    for number in range(3 * MAX_CACHED_BODIES):
        reader.read(headers, f'{{"query": "{{ a{number} }}"}}'.encode())
    assert len(reader) <= MAX_CACHED_BODIES


def test_large_body_is_not_cached() -> None:
    reader = BodyReader()
    headers = {b"content-type": b"application/json"}
    reader.read(headers, b'{"query": "{ ' + b"a " * MAX_CACHED_BODY_BYTES + b'}"}')
    assert len(reader) == 0
