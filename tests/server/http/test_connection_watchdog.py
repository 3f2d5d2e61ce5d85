"""What the server does about connections that a test over a socket would wait long for."""

from unittest.mock import Mock

from server.http.connection_watchdog import Connections


class Socket:
    """A WebSocket, as far as it is looked at."""

    def __init__(self, *, is_closing: bool) -> None:
        self.transport = Mock()
        self.transport.is_closing.return_value = is_closing


def test_a_websocket_whose_end_nobody_reads_is_cut_and_an_open_one_is_not() -> None:
    connections = Connections(10.0)
    closing, open_ = Socket(is_closing=True), Socket(is_closing=False)
    for now in (100.0, 105.0):
        connections._end_the_unclosed([closing, open_], now)
    closing.transport.abort.assert_not_called()
    connections._end_the_unclosed([closing, open_], 110.0)
    closing.transport.abort.assert_called_once()
    open_.transport.abort.assert_not_called()
