"""The FastAPI application, with middleware that wraps all of FastAPI's own."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.middleware import Middleware
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

# With telemetry on, each request would look for OpenTelemetry again.
_NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}


class Application(FastAPI):
    """FastAPI behind the given middleware; the first one is the outermost."""

    def __init__(self, *, outside: Sequence[Middleware], **options: Any) -> None:
        self._outside = outside
        super().__init__(telemetry=_NO_TELEMETRY, **options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one HTTP request, WebSocket or lifespan."""
        if scope["type"] == "lifespan":
            await self.router(scope, receive, send)
            return
        if self.middleware_stack is None:
            self.middleware_stack = self.build_middleware_stack()
        scope["app"] = self
        await self.middleware_stack(scope, receive, send)

    def build_middleware_stack(self) -> ASGIApp:
        """Returns FastAPI's middleware, wrapped in the outer middleware."""
        app = super().build_middleware_stack()
        # Removed because `RequestMiddleware` answers and logs internal errors.
        assert isinstance(app, ServerErrorMiddleware)
        app = app.app
        for middleware in reversed(self._outside):
            app = middleware.cls(app, *middleware.args, **middleware.kwargs)
        return app
