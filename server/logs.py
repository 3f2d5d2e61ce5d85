"""Logging: one event per line, as text in development and JSON in production, without secrets."""

import asyncio
import json
import logging
import sys
import time
from collections.abc import MutableMapping
from contextlib import suppress
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, TextIO

import structlog

# The values of fields whose names contain one of these words are hidden.
_SECRET_WORDS = ("password", "token", "secret", "authorization", "cookie", "hash", "credential")
_HIDDEN = "[hidden]"
# Limits the size of a line, so that long paths cannot fill the disk.
_LOGGED_PATH_BYTES = 200
_HTTP = "postern.http"

# The ID of the current request, added to the lines that are logged during it.
current_request_id: ContextVar[str | None] = ContextVar("current_request_id", default=None)

_PASS_TO_FORMATTER = structlog.stdlib.ProcessorFormatter.wrap_for_formatter
_ROOT = logging.getLogger()
_log = structlog.get_logger(_HTTP)


class _JsonLines(logging.StreamHandler):  # type: ignore[type-arg] # not subscriptable in 3.11
    """Writes lines of JSON. Has a fast path for the line of a request."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._waiting: list[tuple[Any, ...]] = []

    def write_soon(self, *request: Any) -> None:
        """Writes the line of a request at the end of this turn of the event loop."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._write_now)
        self._waiting.append(request)

    def _write_now(self) -> None:
        now = time.time()
        at = f"{_format_second(int(now))}.{int(now % 1 * 1_000_000):06d}Z"
        requests, self._waiting = self._waiting, []
        lines = [
            f"{_first_fields(method, path, status)}{seconds * 1000:.1f},"
            f' "event": "http.request_completed", "request_id": "{request_id}",'
            f' "level": "info", "logger": "{_HTTP}", "timestamp": "{at}"}}\n'
            for method, path, status, seconds, request_id in requests
        ]
        # Requests are answered even if the log cannot be written, for example to a closed pipe.
        with suppress(OSError, ValueError):
            self.stream.write("".join(lines))
            self.stream.flush()


def configure_logs(*, readable: bool) -> None:
    """Writes all logs, including those of libraries, to standard output in one format."""
    _configure_structlog(_PASS_TO_FORMATTER, cached=True)
    handler = (logging.StreamHandler if readable else _JsonLines)(sys.stdout)
    handler.setFormatter(_formatter(readable=readable))
    _ROOT.handlers = [handler]
    _ROOT.setLevel(logging.INFO)
    # Alembic logs each step of a migration at INFO.
    logging.getLogger("alembic").setLevel(logging.WARNING)


def configure_embedded_logs(*, readable: bool) -> None:
    """Configures the logs of Postern in an application that has not configured structlog.

    structlog's defaults print the local variables of a traceback, which can contain passwords.
    """
    if structlog.is_configured():
        return
    logger = logging.getLogger("postern")
    if logger.hasHandlers():
        # The application's handlers receive the event, its fields as `extra` and the exception.
        _configure_structlog(structlog.stdlib.render_to_log_kwargs, cached=False)
        return
    _configure_structlog(_PASS_TO_FORMATTER, cached=False)
    handler = _StandardOutput()
    handler.setFormatter(_formatter(readable=readable))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


class _StandardOutput(logging.StreamHandler):  # type: ignore[type-arg] # not subscriptable in 3.11
    """Writes to the current `sys.stdout`, which applications can replace."""

    @property
    def stream(self) -> TextIO:
        return sys.stdout

    @stream.setter
    def stream(self, _stream: TextIO) -> None:
        """Ignores the stream that the base class chooses."""


def _shared_processors() -> list[structlog.typing.Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        add_request_id,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        hide_secrets,
    ]


def _configure_structlog(last: structlog.typing.Processor, *, cached: bool) -> None:
    structlog.configure(
        processors=[*_shared_processors(), last],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=cached,
    )


def _formatter(*, readable: bool) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_shared_processors(), processors=_renderers(readable=readable)
    )


def log_request(method: str, path: bytes, status: int, seconds: float, request_id: str) -> None:
    """Logs one request, with its path as received: percent-encoded and without the query."""
    path = path[:_LOGGED_PATH_BYTES]
    output = _ROOT.handlers[0] if _ROOT.handlers else None
    if not isinstance(output, _JsonLines):
        _log.info(
            "http.request_completed",
            method=method,
            path=path.decode("ascii", "backslashreplace"),
            status=status,
            milliseconds=round(seconds * 1000, 1),
            request_id=request_id,
        )
        return
    # Writes the same line as structlog, in a tenth of the time.
    output.write_soon(method, path, status, seconds, request_id)


@lru_cache(maxsize=64)
def _first_fields(method: str, path: bytes, status: int) -> str:
    fields = {"method": method, "path": path.decode("ascii", "backslashreplace"), "status": status}
    return json.dumps(fields).removesuffix("}") + ', "milliseconds": '


@lru_cache(maxsize=2)
def _format_second(since_epoch: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(since_epoch))


def add_request_id(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Adds the ID of the current request to a log event."""
    request_id = current_request_id.get()
    if request_id is not None:
        event.setdefault("request_id", request_id)
    return event


def hide_secrets(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Hides the values of fields whose names contain a word for a secret."""
    for name in event:
        if any(word in name.lower() for word in _SECRET_WORDS):
            event[name] = _HIDDEN
    return event


def _renderers(*, readable: bool) -> list[structlog.typing.Processor]:
    without_meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    if readable:
        # Plain tracebacks, because rich ones print local variables, which can contain passwords.
        console = structlog.dev.ConsoleRenderer(
            colors=sys.stdout.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
        return [without_meta, console]
    return [
        without_meta,
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(),
    ]
