"""Sign out: end this session, another one, all of a user, or all of the server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from uuid import UUID

from sqlalchemy import select

from auth.audit import Action, AuditEntry, record
from auth.authorization import authorized, own_account
from auth.clients import Client
from auth.errors import InvalidRefreshToken, SessionNotFound, Unauthenticated
from auth.permissions import Actor, Permission, check_may, may
from auth.sessions import revoke_session, revoke_sessions_by_id, revoke_sessions_of
from auth.tokens.refresh_tokens import looks_like_refresh_token
from auth.viewers import Viewer, get_viewer
from auth.wiring import Auth
from models.session import RevocationReason, Session

# Large enough to end all sessions of a large installation within minutes, and small enough to keep
# transactions short.
BATCH_SIZE = 5_000
LOCK_RETRY_SECONDS = 0.1


async def log_out(auth: Auth, client: Client, session_id: UUID) -> int:
    """Ends a session; its tokens stop working at once. Returns how many were ended: 0 or 1."""
    now = auth.clock.now()
    async with auth.db.begin() as tx:
        ended = await revoke_session(tx, session_id, RevocationReason.LOGGED_OUT, now)
        if ended:
            owner = await tx.scalar(select(Session.user_id).where(Session.id == session_id))
            entry = AuditEntry(Action.SESSION_ENDED, now, client, owner, owner, session_id)
            record(tx, entry)
        return ended


async def log_out_everywhere(auth: Auth, viewer: Viewer) -> int:
    """Ends all sessions of the viewer, including this one. Returns how many were ended."""
    reason = RevocationReason.LOGGED_OUT_EVERYWHERE
    async with own_account(auth, viewer, Action.SESSIONS_ENDED) as operation:
        ended = await revoke_sessions_of(operation.tx, viewer.user_id, reason, operation.at)
        operation.details["sessions"] = str(ended)
        return ended


async def end_session(auth: Auth, viewer: Viewer, session_id: UUID) -> None:
    """Ends a session of the viewer, or of another user with `sessions:revoke`.

    Raises SessionNotFound if there is no active session with this ID, or if it belongs to another
    user and the viewer lacks the permission, so that session IDs cannot be probed.
    """
    async with auth.db.read() as session:
        owner = await session.scalar(select(Session.user_id).where(Session.id == session_id))
    is_own = owner == viewer.user_id
    if not is_own and not may(viewer, Permission.SESSIONS_REVOKE):
        raise SessionNotFound
    needed = () if is_own else (Permission.SESSIONS_REVOKE,)
    reason = RevocationReason.REVOKED_BY_OWNER if is_own else RevocationReason.REVOKED_BY_OPERATOR
    async with authorized(
        auth, viewer, Action.SESSION_ENDED, *needed, subject_id=owner
    ) as operation:
        operation.session_id = session_id
        if not await revoke_session(operation.tx, session_id, reason, operation.at):
            raise SessionNotFound


async def end_all_sessions(
    auth: Auth, actor: Actor, report: Callable[[int], None] = lambda _ended: None
) -> int:
    """Ends all sessions and replaces the signing keys. Returns how many sessions were ended.

    Needed after a restored backup, because revoked sessions are valid again, and after the database
    was stolen. Replaces the keys first, so access tokens stop working at once. Then ends sessions
    in batches and calls `report` with the number so far. Can be repeated after an interruption.
    Raises Forbidden.
    """
    check_may(actor, Permission.SESSIONS_REVOKE)
    await auth.keys.replace_compromised(actor)
    ended = 0
    async for batch in _end_in_batches(auth):
        ended += batch
        report(ended)
    async with authorized(
        auth, actor, Action.ALL_USERS_SIGNED_OUT, Permission.SESSIONS_REVOKE
    ) as operation:
        operation.details["sessions"] = str(ended)
    return ended


async def _end_in_batches(auth: Auth) -> AsyncIterator[int]:
    async with auth.db.read() as session:
        # Sessions that start after this do not come from the backup.
        newest = await session.scalar(select(Session.id).order_by(Session.id.desc()).limit(1))
    if newest is None:
        return
    remaining = select(Session.id).where(Session.id <= newest, Session.revoked_at.is_(None))
    while True:
        async with auth.db.begin() as tx:
            # Other transactions hold a lock on their session and may end further ones: waiting for
            # them could be a deadlock. A later batch ends the locked sessions.
            unlocked = remaining.limit(BATCH_SIZE).with_for_update(skip_locked=True)
            ids = list(await tx.scalars(unlocked))
            ended = await revoke_sessions_by_id(tx, ids, auth.clock.now())
            left = ids or (await tx.scalars(remaining.limit(1))).first()
        if not left:
            return
        if ended:
            yield ended
        else:
            await asyncio.sleep(LOCK_RETRY_SECONDS)


async def revoke_token(auth: Auth, client: Client, token: str) -> None:
    """Ends the session of an access or refresh token (RFC 7009). Ignores invalid tokens."""
    try:
        if looks_like_refresh_token(token):
            session_id = auth.refresh_tokens.parse(token).session_id
        else:
            session_id = (await get_viewer(auth, client, token)).session_id
    except (InvalidRefreshToken, Unauthenticated):
        return
    await log_out(auth, client, session_id)
