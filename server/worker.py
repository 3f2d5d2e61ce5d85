"""A worker process: uvicorn on sockets that are already listening."""

import asyncio
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection

import uvicorn

from graph.socket.channel import MAX_MESSAGE_BYTES
from server.environment import load_settings
from server.http.connection_watchdog import http_protocol
from server.http.socket_protocol import BoundedWebSocketProtocol

READY = b"ready"
# How long accepted requests may take after the shutdown has started.
DRAIN_SECONDS = 10
_CHECK_SECONDS = 0.1


class Server(uvicorn.Server):
    """uvicorn with a startup that can be interrupted, because it can wait for the database."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts the server unless a signal arrives. Raises SystemExit if the application fails."""
        starting = asyncio.create_task(self._start(sockets))
        while not starting.done() and not self.should_exit:
            await asyncio.wait({starting}, timeout=_CHECK_SECONDS)
        if not starting.done():
            starting.cancel()
        elif status := starting.result():
            sys.exit(status)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stops listening, answers all accepted connections, and stops."""
        # Copies, because the event loop closes the sockets later and the kernel accepts until then.
        copies = [listening.dup() for listening in sockets or ()]
        for server in self.servers:
            server.close()
        for listening in sockets or ():
            listening.close()
        await asyncio.sleep(0)
        for accepted in _accept_pending(copies):
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, accepted)
        await super().shutdown(sockets)

    def _protocol(self) -> asyncio.Protocol:
        make: Callable[..., asyncio.Protocol] = self.config.http_protocol_class
        return make(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    async def _start(self, sockets: list[socket.socket] | None) -> int:
        # In a task, SystemExit would end the event loop before anything is closed.
        try:
            await super().startup(sockets)
        except SystemExit as end:
            return int(end.code or 0)
        return 0


def _accept_pending(listening: Sequence[socket.socket]) -> list[socket.socket]:
    """Accepts the pending connections, which the kernel would reset, and closes the sockets.

    The sockets are closed directly afterwards, so that few connections can arrive in between.
    """
    accepted: list[socket.socket] = []
    for each in listening:
        each.settimeout(0)
        # accept() also raises OSError for a pending connection that was aborted.
        with suppress(OSError):
            while True:
                accepted.append(each.accept()[0])
        each.close()
    return accepted


def new_server() -> Server:
    """Returns a server with the settings of the environment."""
    settings = load_settings()
    config = uvicorn.Config(
        f"{__package__}.process:app",
        factory=True,
        interface="asgi3",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        http=http_protocol(settings.request_timeout),
        ws=BoundedWebSocketProtocol,
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_per_message_deflate=False,
    )
    return Server(config)


def run(server: Server, sockets: Sequence[socket.socket]) -> None:
    """Serves until SIGTERM or SIGINT. Raises SystemExit after a failure."""
    # After draining, uvicorn raises the signal again.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        server.run(list(sockets))
    except KeyboardInterrupt:
        pass
    finally:
        for listening in sockets:
            listening.close()


def run_supervised(sockets: Sequence[socket.socket], supervisor: Connection) -> None:
    """Serves until the supervisor stops the worker, closes the connection or dies."""
    server = new_server()
    threading.Thread(target=_watch_supervisor, args=(server, supervisor), daemon=True).start()
    run(server, sockets)


def _watch_supervisor(server: Server, supervisor: Connection) -> None:
    try:
        while not server.started:
            if supervisor.poll(_CHECK_SECONDS):
                supervisor.recv_bytes()
        supervisor.send_bytes(READY)
        supervisor.recv_bytes()
    except (EOFError, OSError):
        server.should_exit = True
