"""WebSocket connections within bounds: uvicorn answers every ping and reads every frame.

The application sees messages only, and bounds those itself (`graph/socket/channel.py`). Frames that
never become a message are bounded here: pings, pongs, and the pieces of one message.
"""

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.protocol import OPEN

from graph.token_bucket import TokenBucket

# So many frames at once, and so many per second from then on: more than messages, which come in
# several frames at times.
FRAME_BURST = 400
FRAMES_PER_SECOND = 100.0
MAX_FRAMES_PER_MESSAGE = 400
# With more than this unsent, pings are not answered: their answers would only wait as well.
MAX_UNSENT_BYTES = 65_536
# A frame has six bytes or more: so many frames are read at most before they are counted.
_PIECE_BYTES = 1_024


class BoundedWebSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol, which closes the connection of a client that sends too much."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._frame_rate = TokenBucket(FRAME_BURST, FRAMES_PER_SECOND)

    def data_received(self, data: bytes) -> None:
        """Reads in pieces, so that the frames after too many are not parsed."""
        if len(data) <= _PIECE_BYTES or not self.handshake_initiated:
            super().data_received(data)
            return
        for start in range(0, len(data), _PIECE_BYTES):
            if self.transport.is_closing():
                return
            super().data_received(data[start : start + _PIECE_BYTES])

    def handle_events(self) -> None:
        """Counts frames before it handles them."""
        frames = sum(isinstance(event, Frame) for event in self.conn.events)
        if frames and not self._frame_rate.take(self.loop.time(), frames):
            self._refuse(4429, "Too many frames")
            return
        if len(self.frames) + frames > MAX_FRAMES_PER_MESSAGE:
            self._refuse(1009, "Too many frames in one message")
            return
        super().handle_events()

    def handle_ping(self) -> None:
        """Answers, unless the client does not read what was sent to it (RFC 6455, 5.5.3)."""
        if self.transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            self.conn.data_to_send()
            return
        super().handle_ping()

    def send_receive_event_to_app(self) -> None:
        """Passes a message on. Closes the connection if its text is not UTF-8."""
        if self.curr_msg_data_type == "text" and not _is_text(b"".join(self.frames)):
            self._refuse(1007, "Invalid UTF-8")
            return
        super().send_receive_event_to_app()

    def _refuse(self, code: int, reason: str) -> None:
        self.frames = []
        if self.conn.state is OPEN:
            self.conn.fail(code, reason)
            self.handle_parser_exception()
        else:
            self.transport.close()


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
