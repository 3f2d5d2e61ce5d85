"""The viewer of one socket: authenticated once, checked before each operation and event."""

from contextlib import aclosing
from uuid import UUID

import structlog

from auth.clients import Client
from auth.errors import (
    SessionRevoked,
    TokenExpired,
    TokenMissing,
    Unauthenticated,
    UserDisabled,
)
from auth.viewers import Viewer, get_viewer, reload_viewer, watch_viewer
from auth.wiring import Auth
from graph.context import read_bearer_token
from graph.errors.graphql_errors import log_unavailable
from graph.socket.messages import CloseSocket, has_token, read_token
from models.database import DatabaseUnavailable

log = structlog.get_logger("postern.graph")

_OTHER_SESSION = "The token belongs to another session"


class SocketViewer:
    """A viewer whose session and permissions stay the same while the socket is open."""

    def __init__(self, auth: Auth, client: Client, viewer: Viewer) -> None:
        self._auth = auth
        self._client = client
        self._viewer = viewer

    @property
    def user_id(self) -> UUID:
        """The ID of the user."""
        return self._viewer.user_id

    async def check(self) -> Viewer:
        """Returns the current viewer. Raises CloseSocket, DatabaseUnavailable."""
        try:
            viewer = await reload_viewer(self._auth, self._viewer)
        except Unauthenticated as denial:
            raise CloseSocket.of(denial) from None
        self._check_rights(viewer)
        return viewer

    async def renew(self, payload: object) -> None:
        """Replaces the token by the next one of the same session. Raises CloseSocket."""
        renewed = await _get_viewer(self._auth, self._client, payload=payload)
        if renewed.session_id != self._viewer.session_id:
            raise CloseSocket(4403, _OTHER_SESSION)
        self._check_rights(renewed)
        self._viewer = renewed

    async def wait_for_close(self) -> CloseSocket:
        """Returns when the token expires, the session ends or the permissions change."""
        try:
            async with aclosing(watch_viewer(self._auth, self._viewer)) as viewers:
                async for viewer in viewers:
                    self._check_rights(viewer)
        except Unauthenticated as denial:
            return CloseSocket.of(denial)
        except CloseSocket as close:
            return close
        except Exception:
            log.exception("graphql.internal_error")
        return CloseSocket(1011, "Internal error")

    def _check_rights(self, viewer: Viewer) -> None:
        # The running operations were permitted with the permissions at the start.
        if viewer.rights != self._viewer.rights:
            raise CloseSocket(4403, "Your roles have changed")


def close_for_outage(error: DatabaseUnavailable) -> CloseSocket:
    """Logs a database outage, and returns how to close the socket."""
    log_unavailable(error)
    return CloseSocket(1013, "Try again later")


async def authenticate(
    auth: Auth, client: Client, payload: object, authorization: bytes | None
) -> SocketViewer:
    """Authenticates with the token of `connection_init`, or of the upgrade request's header.

    If both are present, the first is used, and both must belong to the same session. Raises
    CloseSocket.
    """
    if not has_token(payload):
        viewer = await _get_viewer(auth, client, authorization=authorization)
    else:
        viewer = await _get_viewer(auth, client, payload=payload)
        await _check_same_session(auth, viewer, authorization)
    return SocketViewer(auth, client, viewer)


async def _get_viewer(
    auth: Auth, client: Client, *, payload: object = None, authorization: bytes | None = None
) -> Viewer:
    """Returns the viewer of a token. Raises CloseSocket."""
    try:
        token = read_token(payload) if payload else read_bearer_token(authorization)
        return await get_viewer(auth, client, token)
    except Unauthenticated as denial:
        raise CloseSocket.of(denial) from None
    except DatabaseUnavailable as error:
        raise close_for_outage(error) from None


async def _check_same_session(auth: Auth, viewer: Viewer, authorization: bytes | None) -> None:
    try:
        other = await get_viewer(auth, viewer.client, read_bearer_token(authorization))
    except (TokenMissing, TokenExpired):
        # Libraries that reconnect repeat the header of the first connection.
        return
    except (SessionRevoked, UserDisabled):
        raise CloseSocket(4403, _OTHER_SESSION) from None
    except Unauthenticated as denial:
        raise CloseSocket.of(denial) from None
    except DatabaseUnavailable as error:
        raise close_for_outage(error) from None
    if other.session_id != viewer.session_id:
        raise CloseSocket(4403, _OTHER_SESSION)
