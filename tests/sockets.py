"""A WebSocket to a server in the test process."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Message

PROTOCOL = "graphql-transport-ws"


@dataclass
class Socket:
    """The client end of a WebSocket."""

    inbox: asyncio.Queue[Message] = field(default_factory=asyncio.Queue)
    outbox: asyncio.Queue[Message] = field(default_factory=asyncio.Queue)
    # The code and reason of the close frame from the server.
    closed: tuple[int, str] = (0, "")
    # If the client does not read, the server waits in `accept_event`.
    reads: bool = True
    most_unread: int = 0
    served: asyncio.Event = field(default_factory=asyncio.Event)
    _unread: int = 0

    async def accept_event(self, message: Message) -> None:
        """Receives an ASGI event from the server."""
        if message["type"] == "websocket.close":
            self.closed = (int(message["code"]), str(message.get("reason", "")))
        if not self.reads:
            await self._never_read()
        await self.outbox.put(message)

    async def _never_read(self) -> None:
        self._unread += 1
        self.most_unread = max(self.most_unread, self._unread)
        try:
            await asyncio.Event().wait()
        finally:
            self._unread -= 1

    async def send(self, **message: Any) -> None:
        """Sends a message of the protocol."""
        await self.send_text(json.dumps(message))

    async def send_text(self, text: str) -> None:
        """Sends text, valid or not."""
        await self.inbox.put({"type": "websocket.receive", "text": text})

    async def receive(self) -> Any:
        """Waits for the next message of the server and returns it."""
        async with asyncio.timeout(60):
            event = await self.outbox.get()
        assert event["type"] == "websocket.send", event
        return json.loads(event["text"])

    async def wait_closed(self) -> tuple[int, str]:
        """Waits until the server closes the socket. Returns the code and reason; drops messages."""
        async with asyncio.timeout(60):
            while (event := await self.outbox.get())["type"] != "websocket.close":
                pass
        await self.inbox.put({"type": "websocket.disconnect", "code": event["code"]})
        return int(event["code"]), str(event.get("reason", ""))

    async def receive_until_closed(self) -> list[Any]:
        """Returns the messages that arrive before the server closes the socket."""
        messages = []
        async with asyncio.timeout(60):
            while (event := await self.outbox.get())["type"] != "websocket.close":
                messages.append(json.loads(event["text"]))
        return messages

    async def initialise(self, token: str, key: str = "Authorization") -> "Socket":
        """Sends `connection_init` with a token and waits for the acknowledgement."""
        await self.send(type="connection_init", payload={key: f"Bearer {token}"})
        assert await self.receive() == {"type": "connection_ack"}
        return self

    async def subscribe(self, query: str, id_: str = "1") -> "Socket":
        """Starts an operation."""
        await self.send(type="subscribe", id=id_, payload={"query": query})
        # The server sends nothing when a subscription has started. The pong shows that it has read
        # the message, and the pause lets the subscription start.
        await self.send(type="ping")
        assert await self.receive() == {"type": "pong"}
        await asyncio.sleep(0.1)
        return self
