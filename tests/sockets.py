"""A WebSocket to a server in the test's own process."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Message

PROTOCOL = "graphql-transport-ws"


@dataclass
class Socket:
    """A WebSocket to a server in this process, spoken to as a browser would."""

    inbox: asyncio.Queue[Message] = field(default_factory=asyncio.Queue)
    outbox: asyncio.Queue[Message] = field(default_factory=asyncio.Queue)
    # The code and the reason with which the server has closed it.
    closed: tuple[int, str] = (0, "")
    # A client that does not read makes the server wait in `send`.
    reads: bool = True
    most_unread: int = 0
    served: asyncio.Event = field(default_factory=asyncio.Event)
    _unread: int = 0

    async def send(self, message: Message) -> None:
        """What the server sends."""
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

    async def say(self, **message: Any) -> None:
        """Sends a message of the protocol."""
        await self.say_text(json.dumps(message))

    async def say_text(self, text: str) -> None:
        """Sends any text."""
        await self.inbox.put({"type": "websocket.receive", "text": text})

    async def hear(self) -> Any:
        """The next message of the server."""
        async with asyncio.timeout(60):
            event = await self.outbox.get()
        assert event["type"] == "websocket.send", event
        return json.loads(event["text"])

    async def end(self) -> tuple[int, str]:
        """The code and the reason with which the server closes; messages before it are dropped."""
        async with asyncio.timeout(60):
            while (event := await self.outbox.get())["type"] != "websocket.close":
                pass
        await self.inbox.put({"type": "websocket.disconnect", "code": event["code"]})
        return int(event["code"]), str(event.get("reason", ""))

    async def hear_until_end(self) -> list[Any]:
        """The messages before the server closes."""
        heard = []
        async with asyncio.timeout(60):
            while (event := await self.outbox.get())["type"] != "websocket.close":
                heard.append(json.loads(event["text"]))
        return heard

    async def initialise(self, token: str, key: str = "Authorization") -> "Socket":
        """Signs in with the first message."""
        await self.say(type="connection_init", payload={key: f"Bearer {token}"})
        assert await self.hear() == {"type": "connection_ack"}
        return self

    async def subscribe(self, query: str, id_: str = "1") -> "Socket":
        """Begins an operation."""
        await self.say(type="subscribe", id=id_, payload={"query": query})
        # Until the server waits for events there is nothing to hear, not even that.
        await self.say(type="ping")
        assert await self.hear() == {"type": "pong"}
        await asyncio.sleep(0.1)
        return self
