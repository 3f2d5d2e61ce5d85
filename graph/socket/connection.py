"""A socket whose viewer has signed in, until it ends."""

import asyncio
from collections.abc import Mapping
from typing import Any, Never

from graph.socket.active_operations import OperationScope, SocketOperations
from graph.socket.channel import SocketChannel
from graph.socket.messages import SocketEnd, has_token, read_id, read_payload


async def serve(channel: SocketChannel, scope: OperationScope) -> None:
    """Runs operations until the client goes or must go. Raises WebSocketDisconnect, SocketEnd."""
    try:
        async with asyncio.TaskGroup() as tasks:
            await _Connection(channel, scope, tasks).run()
    except BaseExceptionGroup as group:
        # The first has ended the others.
        raise group.exceptions[0] from None


class _Connection:
    """The loop over the messages, and the watch over the viewer."""

    def __init__(
        self, channel: SocketChannel, scope: OperationScope, tasks: asyncio.TaskGroup
    ) -> None:
        self._channel = channel
        self._viewer = scope.viewer
        self._tasks = tasks
        self._operations = SocketOperations(scope, tasks, channel.send, self._end)
        self._watch = tasks.create_task(self._watch_viewer())
        self._is_ending = False

    async def run(self) -> Never:
        """Handles messages."""
        await self._channel.send({"type": "connection_ack"})
        while True:
            message = await self._channel.receive()
            if not self._is_ending:
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
                raise SocketEnd(4429, "Too many initialisation requests")
            case _:
                raise SocketEnd(4400, "Unknown message type")

    async def _pong(self, payload: object) -> None:
        if has_token(payload):
            try:
                await self._viewer.renew(payload)
            except SocketEnd as end:
                self._end(end)
                return
            self._watch.cancel()
            self._watch = self._tasks.create_task(self._watch_viewer())
        await self._channel.send({"type": "pong"})

    async def _watch_viewer(self) -> None:
        self._end(await self._viewer.wait_for_end())

    def _end(self, end: SocketEnd) -> None:
        """Ends the socket as soon as the results that are under way were sent."""
        if not self._is_ending:
            self._is_ending = True
            self._tasks.create_task(self._end_after_replies(end))

    async def _end_after_replies(self, end: SocketEnd) -> Never:
        await self._operations.finish_replies(with_last_events=end.code == 4401)
        raise end
