"""A connection that ends waits for its client, within bounds."""

import asyncio
from typing import Any
from unittest.mock import Mock

from server.lingering import MOST_DISCARDED_BYTES, Lingering

LONG = 3600.0


def lingering(seconds: float = LONG) -> tuple[Any, Any, set[Any]]:
    transport, connections = Mock(), set[Any]()
    protocol = Lingering(transport, connections)
    protocol.start(asyncio.get_running_loop(), seconds)
    return protocol, transport, connections


async def test_connection_stops_sending_first() -> None:
    protocol, transport, connections = lingering()
    transport.set_protocol.assert_called_once_with(protocol)
    transport.write_eof.assert_called_once_with()
    transport.close.assert_not_called()
    assert connections == {protocol}
    protocol.connection_lost(None)
    assert connections == set()


async def test_client_that_sends_without_end_is_cut_off() -> None:
    protocol, transport, _ = lingering()
    protocol.data_received(bytes(MOST_DISCARDED_BYTES))
    transport.abort.assert_not_called()
    protocol.data_received(b"x")
    transport.abort.assert_called_once_with()
    protocol.connection_lost(None)


async def test_client_that_never_closes_is_cut_off() -> None:
    protocol, transport, _ = lingering(seconds=0)
    for _ in range(10):
        await asyncio.sleep(0)
    transport.abort.assert_called_once_with()
    protocol.connection_lost(None)


async def test_end_of_the_server_ends_the_waiting() -> None:
    protocol, transport, _ = lingering()
    protocol.shutdown()
    transport.close.assert_called_once_with()
    protocol.connection_lost(None)
