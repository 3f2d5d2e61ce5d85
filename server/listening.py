"""Opens the sockets that the server listens on."""

import socket
from typing import Any

from server.command_failure import CommandFailed

_BACKLOG = 2048


def listen(host: str, port: int) -> list[socket.socket]:
    """Listens on every address of the host. Raises CommandFailed if the port is in use.

    `::` also accepts IPv4; such clients have IPv4-mapped addresses (RFC 4291, 2.5.5.2).
    """
    sockets: list[socket.socket] = []
    try:
        for family, address in _addresses(host, port):
            sockets.append(_listen(family, address))
    except OSError as error:
        for opened in sockets:
            opened.close()
        raise CommandFailed(
            f"Cannot listen on {host}, port {port}: {error.strerror}.",
            "Stop the program that listens there, or set POSTERN_PORT or POSTERN_HOST.",
        ) from None
    return sockets


def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, tuple[Any, ...]]]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # A host name can be twice in /etc/hosts.
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


def _listen(family: socket.AddressFamily, address: tuple[Any, ...]) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening
