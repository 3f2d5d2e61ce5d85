"""Closing WebSockets whose client does not read."""

from unittest.mock import Mock

from server.http.connection_watchdog import ConnectionWatchdog


class Socket:
    """A WebSocket protocol with a mock transport."""

    def __init__(self, *, is_closing: bool) -> None:
        self.transport = Mock()
        self.transport.is_closing.return_value = is_closing


def test_closing_socket_is_aborted_after_the_timeout() -> None:
    watchdog = ConnectionWatchdog(10.0)
    closing, open_ = Socket(is_closing=True), Socket(is_closing=False)
    for now in (100.0, 105.0):
        watchdog.abort_unread_sockets([closing, open_], now)
    closing.transport.abort.assert_not_called()
    watchdog.abort_unread_sockets([closing, open_], 110.0)
    closing.transport.abort.assert_called_once()
    open_.transport.abort.assert_not_called()
