"""End sessions: this one, another one, all of one's own."""

import asyncio
from collections.abc import AsyncIterator, Callable
from uuid import UUID

from sqlalchemy import select

from auth.audit import Action, AuditEntry, record
from auth.authorization import authorized, own_account
from auth.clients import Client
from auth.errors import InvalidRefreshToken, SessionNotFound, Unauthenticated
from auth.permissions import Actor, check_may, may
from auth.sessions import revoke_session, revoke_sessions_by_id, revoke_sessions_of
from auth.tokens.refresh_tokens import looks_like_refresh_token
from auth.viewers import Viewer, get_viewer
from auth.wiring import Auth
from models.session import RevocationReason, Session

# So many that all sessions of a large installation end within minutes, and so few that each
# transaction is short.
ENDED_AT_ONCE = 5_000
LOCKED_PAUSE_SECONDS = 0.1


async def log_out(auth: Auth, client: Client, session_id: UUID) -> int:
    """Ends a session; its tokens stop working at once. Returns how many were ended: 0 or 1."""
    now = auth.clock.now()
    async with auth.db.begin() as tx:
        ended = await revoke_session(tx, session_id, RevocationReason.LOGGED_OUT, now)
        if ended:
            owner = await tx.scalar(select(Session.user_id).where(Session.id == session_id))
            act = AuditEntry(Action.SESSION_ENDED, now, client, owner, owner, session_id)
            record(tx, act)
        return ended


async def log_out_everywhere(auth: Auth, viewer: Viewer) -> int:
    """Ends every session of the viewer, this one too. Returns how many were ended."""
    reason = RevocationReason.LOGGED_OUT_EVERYWHERE
    async with own_account(auth, viewer, Action.SESSIONS_ENDED) as operation:
        ended = await revoke_sessions_of(operation.tx, viewer.user_id, reason, operation.at)
        operation.details["sessions"] = str(ended)
        return ended


async def end_session(auth: Auth, viewer: Viewer, session_id: UUID) -> None:
    """Ends one session: one's own, or anybody's for `sessions:revoke`.

    Raises SessionNotFound if there is none, it has ended, or it is somebody else's and the viewer
    may not know of it: ids of sessions are not to be probed.
    """
    async with auth.db.read() as session:
        owner = await session.scalar(select(Session.user_id).where(Session.id == session_id))
    is_own = owner == viewer.user_id
    if not is_own and not may(viewer, "sessions:revoke"):
        raise SessionNotFound
    needed = () if is_own else ("sessions:revoke",)
    reason = RevocationReason.REVOKED_BY_OWNER if is_own else RevocationReason.REVOKED_BY_OPERATOR
    async with authorized(
        auth, viewer, Action.SESSION_ENDED, *needed, subject_id=owner
    ) as operation:
        operation.session_id = session_id
        if not await revoke_session(operation.tx, session_id, reason, operation.at):
            raise SessionNotFound


async def end_all_sessions(
    auth: Auth, actor: Actor, tell: Callable[[int], None] = lambda _ended: None
) -> int:
    """Ends every session and replaces the signing keys. Returns how many sessions were ended.

    Needed after a backup was restored, because revoked sessions are valid again, and after the
    database was stolen. The keys are replaced first, so access tokens stop working at once. Then
    sessions end in batches; `tell` gets the number so far after each. After an interruption it can
    be run again. Raises Forbidden.
    """
    check_may(actor, "sessions:revoke")
    await auth.keys.replace_compromised(actor)
    ended = 0
    async for batch in _end_in_batches(auth):
        ended += batch
        tell(ended)
    async with authorized(auth, actor, Action.ALL_USERS_SIGNED_OUT, "sessions:revoke") as operation:
        operation.details["sessions"] = str(ended)
    return ended


async def _end_in_batches(auth: Auth) -> AsyncIterator[int]:
    async with auth.db.read() as session:
        # Sessions that begin after this are none that a backup brought back.
        newest = await session.scalar(select(Session.id).order_by(Session.id.desc()).limit(1))
    if newest is None:
        return
    there = select(Session.id).where(Session.id <= newest, Session.revoked_at.is_(None))
    while True:
        async with auth.db.begin() as tx:
            # Other transactions hold the session that they act in, and may end further ones: to
            # wait for them here could be a deadlock. What they hold comes with a later batch.
            free = there.limit(ENDED_AT_ONCE).with_for_update(skip_locked=True)
            ids = list(await tx.scalars(free))
            ended = await revoke_sessions_by_id(tx, ids, auth.clock.now())
            left = ids or (await tx.scalars(there.limit(1))).first()
        if not left:
            return
        if ended:
            yield ended
        else:
            await asyncio.sleep(LOCKED_PAUSE_SECONDS)


async def revoke_token(auth: Auth, client: Client, token: str) -> None:
    """Ends the session of an access or a refresh token (RFC 7009); a dead token is no error."""
    try:
        if looks_like_refresh_token(token):
            session_id = auth.refresh_tokens.parse(token).session_id
        else:
            session_id = (await get_viewer(auth, client, token)).session_id
    except (InvalidRefreshToken, Unauthenticated):
        return
    await log_out(auth, client, session_id)
