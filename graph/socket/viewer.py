"""The viewer of one socket: signed in once, checked before everything that runs or is sent."""

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
from graph.socket.messages import SocketEnd, has_token, read_token
from models.database import DatabaseUnavailable

log = structlog.get_logger("postern.graph")

_OTHER_SESSION = "The token belongs to another session"


class SocketViewer:
    """A viewer whose session and rights stay the same for as long as the socket is open."""

    def __init__(self, auth: Auth, client: Client, viewer: Viewer) -> None:
        self._auth = auth
        self._client = client
        self._viewer = viewer

    @property
    def user_id(self) -> UUID:
        """The id of the account."""
        return self._viewer.user_id

    async def check(self) -> Viewer:
        """Returns the viewer as of now. Raises SocketEnd, DatabaseUnavailable."""
        try:
            viewer = await reload_viewer(self._auth, self._viewer)
        except Unauthenticated as denial:
            raise SocketEnd.of(denial) from None
        self._check_rights(viewer)
        return viewer

    async def renew(self, payload: object) -> None:
        """Continues with the next token of the same session. Raises SocketEnd."""
        renewed = await _authenticate(self._auth, self._client, payload=payload)
        if renewed.session_id != self._viewer.session_id:
            raise SocketEnd(4403, _OTHER_SESSION)
        self._check_rights(renewed)
        self._viewer = renewed

    async def wait_for_end(self) -> SocketEnd:
        """Waits until the token expires, the session ends or the rights change."""
        try:
            async with aclosing(watch_viewer(self._auth, self._viewer)) as looks:
                async for viewer in looks:
                    self._check_rights(viewer)
        except Unauthenticated as denial:
            return SocketEnd.of(denial)
        except SocketEnd as end:
            return end
        except Exception:
            log.exception("graphql.internal_error")
        return SocketEnd(1011, "Internal error")

    def _check_rights(self, viewer: Viewer) -> None:
        # All that runs was allowed by the rights that the socket began with.
        if viewer.rights != self._viewer.rights:
            raise SocketEnd(4403, "Your roles have changed")


def end_of_outage(error: DatabaseUnavailable) -> SocketEnd:
    """Returns how a socket ends while the database is away, and logs the cause."""
    log_unavailable(error)
    return SocketEnd(1013, "Try again later")


async def sign_in(
    auth: Auth, client: Client, payload: object, authorization: bytes | None
) -> SocketViewer:
    """Signs in with the token of `connection_init`, or of the upgrade request's header.

    With both, the first counts, and the second must be of the same session. Raises SocketEnd.
    """
    if not has_token(payload):
        viewer = await _authenticate(auth, client, authorization=authorization)
    else:
        viewer = await _authenticate(auth, client, payload=payload)
        await _check_same_session(auth, viewer, authorization)
    return SocketViewer(auth, client, viewer)


async def _authenticate(
    auth: Auth, client: Client, *, payload: object = None, authorization: bytes | None = None
) -> Viewer:
    """Returns the viewer of a token. Raises SocketEnd."""
    try:
        token = read_token(payload) if payload else read_bearer_token(authorization)
        return await get_viewer(auth, client, token)
    except Unauthenticated as denial:
        raise SocketEnd.of(denial) from None
    except DatabaseUnavailable as error:
        raise end_of_outage(error) from None


async def _check_same_session(auth: Auth, viewer: Viewer, authorization: bytes | None) -> None:
    try:
        other = await get_viewer(auth, viewer.client, read_bearer_token(authorization))
    except (TokenMissing, TokenExpired):
        # Libraries that reconnect repeat the header that they were created with.
        return
    except (SessionRevoked, UserDisabled):
        raise SocketEnd(4403, _OTHER_SESSION) from None
    except Unauthenticated as denial:
        raise SocketEnd.of(denial) from None
    except DatabaseUnavailable as error:
        raise end_of_outage(error) from None
    if other.session_id != viewer.session_id:
        raise SocketEnd(4403, _OTHER_SESSION)
