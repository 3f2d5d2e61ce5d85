"""Limits on WebSocket frames. uvicorn itself reads every frame and answers every ping.

The application receives messages only, and limits those itself (`graph/socket/channel.py`). This
module limits frames that are not whole messages: pings, pongs and the parts of a message.
"""

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.protocol import OPEN

from graph.token_bucket import TokenBucket

# Higher than the limits on messages, because a message can have several frames.
FRAME_BURST = 400
FRAMES_PER_SECOND = 100.0
MAX_FRAMES_PER_MESSAGE = 400
# With more unsent data than this, pings are not answered: the pongs would only be queued as well.
MAX_UNSENT_BYTES = 65_536
# Limits how many frames are parsed before they are counted: a frame has at least six bytes.
_PIECE_BYTES = 1_024


class BoundedWebSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol, which closes the connection of a client that sends too much."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._frame_rate = TokenBucket(FRAME_BURST, FRAMES_PER_SECOND)

    def data_received(self, data: bytes) -> None:
        """Reads data in pieces, so that frames past the limit are not parsed."""
        if len(data) <= _PIECE_BYTES or not self.handshake_initiated:
            super().data_received(data)
            return
        for start in range(0, len(data), _PIECE_BYTES):
            if self.transport.is_closing():
                return
            super().data_received(data[start : start + _PIECE_BYTES])

    def handle_events(self) -> None:
        """Counts frames, and handles them if they are within the limits."""
        frames = sum(isinstance(event, Frame) for event in self.conn.events)
        if frames and not self._frame_rate.take(self.loop.time(), frames):
            self._refuse(4429, "Too many frames")
            return
        if len(self.frames) + frames > MAX_FRAMES_PER_MESSAGE:
            self._refuse(1009, "Too many frames in one message")
            return
        super().handle_events()

    def handle_ping(self) -> None:
        """Answers a ping, unless the client does not read its data (RFC 6455, 5.5.3)."""
        if self.transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            self.conn.data_to_send()
            return
        super().handle_ping()

    def send_receive_event_to_app(self) -> None:
        """Passes a message on, or closes the connection if its text is not UTF-8."""
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
