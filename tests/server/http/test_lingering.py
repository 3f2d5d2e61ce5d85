"""Lingering close: a closing connection waits for its client, within limits."""

import asyncio
from typing import Any
from unittest.mock import Mock

from server.http.lingering import LEAST_READ_BYTES, MOST_DISCARDED_BYTES, LingeringProtocol

LONG = 3600.0


def lingering(*unread: int, seconds: float = LONG) -> tuple[Any, Any, set[Any]]:
    transport, connections = Mock(), set[Any]()
    transport.get_write_buffer_size.side_effect = [*unread, 0, 0, 0]
    protocol = LingeringProtocol(transport, connections)
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


async def test_client_that_does_not_stop_sending_is_disconnected() -> None:
    protocol, transport, _ = lingering()
    protocol.data_received(bytes(MOST_DISCARDED_BYTES))
    transport.abort.assert_not_called()
    protocol.data_received(b"x")
    transport.abort.assert_called_once_with()
    protocol.connection_lost(None)


async def time_passes() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_connection_is_closed_if_the_client_does_not_close_it() -> None:
    protocol, transport, _ = lingering(seconds=0)
    await time_passes()
    transport.close.assert_called_once_with()
    # A reset would discard parts of the reply that the system has not sent yet.
    transport.abort.assert_not_called()
    protocol.connection_lost(None)


async def test_client_that_does_not_read_its_reply_is_disconnected() -> None:
    unread = (10 * LEAST_READ_BYTES, 9 * LEAST_READ_BYTES + 1)
    protocol, transport, _ = lingering(*unread, seconds=0)
    await time_passes()
    transport.abort.assert_called_once_with()
    protocol.connection_lost(None)


async def test_client_that_reads_slowly_gets_the_whole_reply() -> None:
    steps = [count * LEAST_READ_BYTES for count in (3, 2, 2, 1, 1)]
    protocol, transport, _ = lingering(*steps, seconds=0)
    await time_passes()
    transport.abort.assert_not_called()
    transport.close.assert_called_once_with()
    protocol.connection_lost(None)


async def test_shutdown_of_the_server_closes_the_connection() -> None:
    protocol, transport, _ = lingering()
    protocol.shutdown()
    transport.close.assert_called_once_with()
    protocol.connection_lost(None)
