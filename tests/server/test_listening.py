"""Listening sockets on IPv4 and IPv6."""

import socket
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

from server.command_failure import CommandFailed
from server.listening import listen
from tests.processes import free_port, running_server


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


@pytest.fixture
def port() -> int:
    return free_port()


def connects(family: socket.AddressFamily, address: str, port: int) -> bool:
    with socket.socket(family) as client:
        return client.connect_ex((address, port)) == 0


@needs_ipv6
def test_listen_on_all_ipv6_addresses_accepts_ipv4(port: int) -> None:
    (listening,) = listen("::", port)
    with closing(listening):
        assert connects(socket.AF_INET, "127.0.0.1", port)
        assert connects(socket.AF_INET6, "::1", port)


@needs_ipv6
def test_listen_on_one_ipv6_address_accepts_no_other(port: int) -> None:
    (listening,) = listen("::1", port)
    with closing(listening):
        assert connects(socket.AF_INET6, "::1", port)
        assert not connects(socket.AF_INET, "127.0.0.1", port)


def test_listen_on_a_port_in_use_fails(port: int) -> None:
    (listening,) = listen("127.0.0.1", port)
    with (
        closing(listening),
        pytest.raises(CommandFailed, match=f"port {port}: Address already in use"),
    ):
        listen("127.0.0.1", port)


def test_listen_on_an_unknown_host_fails(port: int) -> None:
    with pytest.raises(CommandFailed, match="Cannot listen on no-such-name"):
        listen("no-such-name.invalid", port)


@needs_ipv6
@pytest.mark.parametrize("workers", ["1", "2"])
def test_server_on_all_ipv6_addresses_is_reachable_over_both_families(
    sqlite_url: str, tmp_path: Path, workers: str
) -> None:
    settings = {
        "POSTERN_SECRET_KEY": "kX9v2mQ7rT4wY8zB3nL6pD1sF5hJ0cGa",
        "POSTERN_PUBLIC_URL": "http://localhost",
        "POSTERN_DATABASE_URL": sqlite_url,
    }
    with running_server(tmp_path, settings, "--host", "::", "--workers", workers) as server:
        port = server.base_url.rpartition(":")[2]
        for address in ("127.0.0.1", "[::1]"):
            assert httpx2.get(f"http://{address}:{port}/readyz", timeout=60).status_code == 200
