"""The undocumented parts of uvicorn and httptools that Postern uses are unchanged."""

import inspect
import tomllib
from pathlib import Path
from typing import Any

import httptools
import pytest
import uvicorn
from packaging.requirements import Requirement
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.protocols.websockets.auto import AutoWebSocketsProtocol
from uvicorn.server import ServerState

PYPROJECT = Path(__file__).parents[3] / "pyproject.toml"
# Python looks up the attributes of an object more slowly when it has more.
FEW_ATTRIBUTES = 30

OVERRIDDEN = {
    "_start_asgi_task": ["self", "cycle", "app"],
    "connection_lost": ["self", "exc"],
    "connection_made": ["self", "transport"],
    "data_received": ["self", "data"],
    "eof_received": ["self"],
    "handle_websocket_upgrade": ["self"],
    "on_body": ["self", "body"],
    "on_header": ["self", "name", "value"],
    "on_headers_complete": ["self"],
    "on_message_begin": ["self"],
    "on_message_complete": ["self"],
    "on_response_complete": ["self"],
    "pause_writing": ["self"],
    "shutdown": ["self"],
}
OF_PROTOCOLS = {
    "connections", "cycle", "expect_100_continue", "flow", "headers", "loop", "parser", "pipeline",
    "scope", "server_state", "timeout_keep_alive", "transport",
}  # fmt: skip
OF_CYCLES = {
    "body", "default_headers", "disconnected", "flow", "keep_alive", "message_event", "more_body",
    "on_response", "response_complete", "response_started", "scope", "transport",
    "waiting_for_100_continue",
}  # fmt: skip


async def no_application(_scope: object, _receive: object, _send: object) -> None:
    pass


def new_config() -> uvicorn.Config:
    config = uvicorn.Config(no_application, interface="asgi3", log_config=None)
    config.load()
    return config


def parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


@pytest.mark.parametrize("name", ["uvicorn", "httptools", "websockets", "graphql-core"])
def test_dependency_used_by_private_names_has_an_upper_bound(name: str) -> None:
    project = tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]
    required = [Requirement(line) for line in project["dependencies"]]
    (bounds,) = [requirement.specifier for requirement in required if requirement.name == name]
    assert {specifier.operator for specifier in bounds} == {">=", "<"}


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_protocol_methods_have_the_expected_parameters(name: str) -> None:
    assert parameters(getattr(HttpToolsProtocol, name)) == OVERRIDDEN[name]


async def test_protocol_has_the_expected_attributes() -> None:
    protocol = HttpToolsProtocol(new_config(), ServerState(), {})
    assert vars(protocol).keys() >= OF_PROTOCOLS
    # `url` is set when a request starts; the others are Postern's.
    assert len(vars(protocol)) + len({"url", "_state", "framing_bytes"}) <= FEW_ATTRIBUTES
    protocol.on_message_begin()
    assert protocol.url == b""
    assert protocol.scope["headers"] is protocol.headers


async def test_cycles_have_the_expected_attributes() -> None:
    made = dict.fromkeys(parameters(RequestResponseCycle)) | {"expect_100_continue": True}
    cycle = RequestResponseCycle(**made)  # type: ignore[arg-type]
    assert vars(cycle).keys() >= OF_CYCLES
    assert isinstance(cycle.body, bytearray)
    assert cycle.more_body
    assert cycle.waiting_for_100_continue


def test_flow_control_is_as_expected() -> None:
    assert HIGH_WATER_LIMIT == 65_536
    methods = {"drain", "pause_reading", "resume_reading", "pause_writing", "resume_writing"}
    assert methods <= vars(FlowControl).keys()


def test_status_lines_are_as_expected() -> None:
    assert STATUS_LINE[200] == b"HTTP/1.1 200 OK\r\n"


def test_http_protocol_may_be_a_callable() -> None:
    factory: Any = object()
    assert uvicorn.Config(no_application, http=factory).http == factory
    assert parameters(HttpToolsProtocol) == ["config", "server_state", "app_state", "_loop"]


async def test_websocket_protocol_has_handshake_initiated() -> None:
    make: Any = AutoWebSocketsProtocol
    socket = make(new_config(), ServerState(), {})
    assert socket.handshake_initiated is False


async def test_websocket_protocol_has_the_attributes_for_frame_limits() -> None:
    make: Any = AutoWebSocketsProtocol
    socket = make(new_config(), ServerState(), {})
    assert (socket.frames, socket.curr_msg_data_type) == ([], "bytes")
    assert hasattr(socket.conn, "events")
    assert hasattr(socket.conn, "data_to_send")
    methods = {
        "data_received": ["self", "data"],
        "handle_events": ["self"],
        "handle_parser_exception": ["self"],
        "handle_ping": ["self"],
        "send_receive_event_to_app": ["self"],
    }
    assert {name: parameters(getattr(make, name)) for name in methods} == methods


class Parsed:
    def __init__(self) -> None:
        self.heads = 0
        self.messages = 0

    def on_headers_complete(self) -> None:
        self.heads += 1

    def on_message_complete(self) -> None:
        self.messages += 1


def test_parser_stops_after_the_head_of_an_upgrade() -> None:
    head = b"POST / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: x\r\ncontent-length: 5\r\n\r\n"
    parsed = Parsed()
    parser = httptools.HttpRequestParser(parsed)
    with pytest.raises(httptools.HttpParserUpgrade) as raised:
        parser.feed_data(head + b"hello")
    assert raised.value.args == (len(head),)
    assert parser.should_upgrade()
    assert (parsed.heads, parsed.messages) == (1, 1)
    assert parser.get_method() == b"POST"
    assert parser.get_http_version() == "1.1"


def test_error_in_a_callback_stops_the_parser() -> None:
    class Refusing:
        def on_url(self, _url: bytes) -> None:
            raise ValueError

    with pytest.raises(httptools.HttpParserError):
        httptools.HttpRequestParser(Refusing()).feed_data(b"GET / HTTP/1.1\r\na: b\r\n\r\n")
