"""An authenticated socket: handles messages, and watches the viewer."""

import asyncio
from collections.abc import Mapping
from typing import Any, Never

from graph.socket.active_operations import OperationScope, SocketOperations
from graph.socket.channel import SocketChannel
from graph.socket.messages import CloseSocket, has_token, read_id, read_payload


async def serve(channel: SocketChannel, scope: OperationScope) -> None:
    """Serves the socket until it is closed. Raises WebSocketDisconnect, CloseSocket."""
    try:
        async with asyncio.TaskGroup() as tasks:
            await _Connection(channel, scope, tasks).run()
    except BaseExceptionGroup as group:
        # The first exception cancelled the other tasks.
        raise group.exceptions[0] from None


class _Connection:
    """The message loop, and a task that watches the viewer."""

    def __init__(
        self, channel: SocketChannel, scope: OperationScope, tasks: asyncio.TaskGroup
    ) -> None:
        self._channel = channel
        self._viewer = scope.viewer
        self._tasks = tasks
        self._operations = SocketOperations(scope, tasks, channel.send, self._close)
        self._watch = tasks.create_task(self._watch_viewer())
        self._is_closing = False

    async def run(self) -> Never:
        """Handles messages until the socket is closed."""
        await self._channel.send({"type": "connection_ack"})
        while True:
            message = await self._channel.receive()
            if not self._is_closing:
                await self._handle(message)

    async def _handle(self, message: Mapping[str, Any]) -> None:
        match message["type"]:
            case "ping":
                await self._pong(message.get("payload"))
            case "pong":
                pass
            case "subscribe":
                await self._operations.start(read_id(message), read_payload(message))
            case "complete":
                self._operations.complete(read_id(message))
            case "connection_init":
                raise CloseSocket(4429, "Too many initialisation requests")
            case _:
                raise CloseSocket(4400, "Unknown message type")

    async def _pong(self, payload: object) -> None:
        if has_token(payload):
            try:
                await self._viewer.renew(payload)
            except CloseSocket as close:
                self._close(close)
                return
            self._watch.cancel()
            self._watch = self._tasks.create_task(self._watch_viewer())
        await self._channel.send({"type": "pong"})

    async def _watch_viewer(self) -> None:
        self._close(await self._viewer.wait_for_close())

    def _close(self, close: CloseSocket) -> None:
        """Closes the socket after the queries and mutations have ended."""
        if not self._is_closing:
            self._is_closing = True
            self._tasks.create_task(self._close_after_replies(close))

    async def _close_after_replies(self, close: CloseSocket) -> Never:
        await self._operations.finish_replies(with_final_events=close.code == 4401)
        raise close
