"""`/healthz` and `/readyz`: health checks, without details of the configuration."""

import structlog
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from auth.tokens.keys import KeyRing
from models.database import Database, DatabaseUnavailable
from models.schema_state import SchemaState, schema_state
from models.writability import WriteProbe
from server.rest.errors import json_reply

log = structlog.get_logger("postern.http")


def health_router(db: Database, keys: KeyRing) -> APIRouter:
    """Creates the router of both health checks."""
    router = APIRouter()
    write_probe = WriteProbe(db)

    @router.get("/healthz", summary="Check that the process is running")
    async def healthz() -> Response:
        return json_reply({"status": "ok"})

    @router.get("/readyz", summary="Check that the server can answer requests")
    async def readyz(request: Request) -> Response:
        if request.app.state.is_ending:
            return json_reply({"status": "ending"}, 503)
        try:
            state = await schema_state(db)
            await write_probe.check()
        except DatabaseUnavailable as error:
            log.warning(error.event, cause=str(error))
            return json_reply({"status": "database unavailable"}, 503, {"Retry-After": "2"})
        if state is SchemaState.BEHIND:
            return json_reply({"status": "database not migrated"}, 503)
        if not await keys.can_decrypt_all():
            return json_reply({"status": "signing keys cannot be decrypted"}, 503)
        return json_reply({"status": "ok"})

    return router
