"""Viewers: the signed-in user of a request, with session and permissions."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, select

from auth.clients import Client
from auth.errors import TokenExpired, TokenInvalid, UserDisabled
from auth.records import UserRecord
from auth.sessions import check_active
from auth.tokens import access_tokens as tokens
from auth.tokens.access_tokens import AccessToken
from auth.user_rows import USER_COLUMNS
from auth.viewer_cache import SignedInUser
from auth.wiring import Auth
from models.database import DatabaseUnavailable
from models.session import Session
from models.user import User

RETRY_SECONDS = 1.0

_SIGNED_IN = (
    select(*USER_COLUMNS, Session.revoked_at, Session.idle_expires_at, Session.expires_at)
    .join(Session, Session.user_id == User.id)
    .where(Session.id == bindparam("session_id"))
)


class Viewer(NamedTuple):
    """A signed-in user. The values come from the database, not from the access token."""

    user: UserRecord
    session_id: UUID
    token_expires_at: datetime
    client: Client

    @property
    def user_id(self) -> UUID:
        """The ID of the user; the `sub` of the access token."""
        return self.user.id

    @property
    def permissions(self) -> frozenset[str]:
        """The permissions of the viewer."""
        return self.user.permissions

    @property
    def rights(self) -> tuple[frozenset[str], frozenset[str]]:
        """The role names and the permissions, which permission classes check."""
        return frozenset(role.name for role in self.user.roles), self.user.permissions


async def get_viewer(auth: Auth, client: Client, bearer_token: str) -> Viewer:
    """Returns the viewer of a bearer token.

    Raises TokenInvalid, TokenExpired, SessionRevoked, UserDisabled, and DatabaseUnavailable if the
    session cannot be checked.
    """
    cached = find_cached_viewer(auth, client, bearer_token)
    if cached is not None:
        return cached
    now = auth.clock.now()
    token = auth.token_cache.get(bearer_token, now) or await _verify(auth, bearer_token, now)
    found = auth.viewer_cache.get(token.session_id) or await _load(auth, token.session_id)
    return _signed_in_viewer(found, token.user_id, token.expires_at, client, auth.clock.now())


def find_cached_viewer(auth: Auth, client: Client, bearer_token: str) -> Viewer | None:
    """Returns the viewer of a bearer token from the caches, without a query.

    None if the token or the session is not cached. Raises the same errors as `get_viewer`.
    """
    now = auth.clock.now()
    token = auth.token_cache.get(bearer_token, now)
    if token is None:
        return None
    found = auth.viewer_cache.get(token.session_id)
    if found is None:
        return None
    return _signed_in_viewer(found, token.user_id, token.expires_at, client, now)


async def watch_viewer(auth: Auth, viewer: Viewer) -> AsyncGenerator[Viewer, None]:
    """Yields the viewer again each time their rows may have changed.

    Raises Unauthenticated (TokenExpired, SessionRevoked, UserDisabled, TokenInvalid) when the
    viewer is no longer signed in. During a database outage, only an expired token raises.
    """
    with auth.watchers.watch(viewer.user_id) as watch:
        # The rows may have changed since the viewer was read.
        watch.changed.set()
        while True:
            remaining = (viewer.token_expires_at - auth.clock.now()).total_seconds()
            may_have_changed = await watch.wait(remaining)
            if auth.clock.now() >= viewer.token_expires_at:
                raise TokenExpired
            if not may_have_changed:
                continue
            try:
                async with auth.watchers.read_slot():
                    reloaded = await reload_viewer(auth, viewer)
            except DatabaseUnavailable:
                watch.changed.set()
                await asyncio.sleep(RETRY_SECONDS)
            else:
                yield reloaded


async def reload_viewer(auth: Auth, viewer: Viewer) -> Viewer:
    """Returns the viewer with current values. Raises the same errors as `get_viewer`."""
    found = auth.viewer_cache.get(viewer.session_id) or await _load(auth, viewer.session_id)
    now = auth.clock.now()
    return _signed_in_viewer(found, viewer.user_id, viewer.token_expires_at, viewer.client, now)


async def _verify(auth: Auth, bearer_token: str, now: datetime) -> AccessToken:
    version = auth.token_cache.version()
    token = await tokens.verify(auth.keys, auth.token_policy, bearer_token, now)
    auth.token_cache.put(bearer_token, token, version)
    return token


def _signed_in_viewer(
    found: SignedInUser | None,
    user_id: UUID,
    token_expires_at: datetime,
    client: Client,
    now: datetime,
) -> Viewer:
    # Comparing integers is faster than comparing UUIDs.
    if found is None or found.user.id.int != user_id.int:
        raise TokenInvalid
    if found.user.disabled:
        raise UserDisabled
    check_active(found, now)
    if now >= token_expires_at:
        raise TokenExpired
    return Viewer(found.user, found.session_id, token_expires_at, client)


async def _load(auth: Auth, session_id: UUID) -> SignedInUser | None:
    version = auth.viewer_cache.version()
    rows = await auth.db.look_up(_SIGNED_IN, {"session_id": session_id})
    for row, user in zip(rows, await auth.user_rows.read(rows), strict=True):
        found = SignedInUser(
            session_id=session_id,
            user=user,
            revoked_at=row.revoked_at,
            idle_expires_at=row.idle_expires_at,
            expires_at=row.expires_at,
        )
        auth.viewer_cache.put(found, version)
        return found
    return None
