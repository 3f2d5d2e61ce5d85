"""Logs: one event per line, readable in development, JSON in production, never a secret."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

# A field whose name holds one of these is not shown, whoever logs it.
_SECRET_WORDS = ("password", "token", "secret", "authorization", "cookie", "hash", "credential")
_HIDDEN = "[hidden]"


def configure_logs(*, for_people: bool) -> None:
    """Sends every log line, of libraries too, through one formatter to standard output."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        hide_secrets,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=_rendering(for_people=for_people)
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    # Alembic tells each step of a migration; its own lines suffice at WARNING.
    logging.getLogger("alembic").setLevel(logging.WARNING)


def hide_secrets(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Hides the values of fields that are named like secrets."""
    for name in event:
        if any(word in name.lower() for word in _SECRET_WORDS):
            event[name] = _HIDDEN
    return event


def _rendering(*, for_people: bool) -> list[structlog.typing.Processor]:
    without_meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    if for_people:
        # Plain tracebacks: the richer ones print local variables, and with them passwords.
        console = structlog.dev.ConsoleRenderer(
            colors=sys.stdout.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
        return [without_meta, console]
    return [
        without_meta,
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(),
    ]
