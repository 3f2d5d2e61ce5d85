"""FastAPI, with what every request passes standing before it rather than inside it."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.middleware import Middleware
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

# Each request would look for OpenTelemetry anew.
_NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}


class Application(FastAPI):
    """FastAPI behind these middlewares, from the outside inwards."""

    def __init__(self, *, outside: Sequence[Middleware], **options: Any) -> None:
        self._outside = outside
        super().__init__(telemetry=_NO_TELEMETRY, **options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request or socket, or the life of the server."""
        if scope["type"] == "lifespan":
            await self.router(scope, receive, send)
            return
        if self.middleware_stack is None:
            self.middleware_stack = self.build_middleware_stack()
        scope["app"] = self
        await self.middleware_stack(scope, receive, send)

    def build_middleware_stack(self) -> ASGIApp:
        """What a request passes."""
        app = super().build_middleware_stack()
        # Faults are answered and logged once, by `RequestMiddleware`.
        assert isinstance(app, ServerErrorMiddleware)
        app = app.app
        for middleware in reversed(self._outside):
            app = middleware.cls(app, *middleware.args, **middleware.kwargs)
        return app
