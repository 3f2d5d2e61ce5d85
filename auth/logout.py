"""End sessions: this one, another one, all of one's own."""

from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from auth.audit import Act, Action, record
from auth.authorization import authorized, own_account
from auth.clients import Client
from auth.errors import InvalidRefreshToken, SessionNotFound, Unauthenticated
from auth.policies import Actor, may
from auth.refresh_tokens import looks_like_refresh_token
from auth.sessions import revoke_all_sessions, revoke_session, revoke_sessions_of
from auth.viewers import Viewer, viewer_of
from auth.wiring import Auth
from models.session import RevocationReason, Session


async def log_out(auth: Auth, client: Client, session_id: UUID) -> int:
    """Ends a session; its tokens stop working at once. Returns how many were ended: 0 or 1."""
    now = auth.clock.now()
    async with auth.db.begin() as tx:
        ended = await revoke_session(tx, session_id, RevocationReason.LOGGED_OUT, now)
        if ended:
            owner = await tx.scalar(select(Session.user_id).where(Session.id == session_id))
            act = Act(Action.SESSION_ENDED, now, client, owner, owner, session_id)
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


async def end_all_sessions(auth: Auth, actor: Actor) -> int:
    """Signs everybody out and replaces the signing keys. Returns how many sessions were ended.

    For the worst days: a backup was restored, in which revoked sessions are alive again, or the
    database was in foreign hands. Raises Forbidden.
    """
    async with authorized(auth, actor, Action.EVERYBODY_SIGNED_OUT, "sessions:revoke") as operation:
        await _wait_for_others(operation.tx, auth)
        ended = await revoke_all_sessions(operation.tx, operation.at)
        operation.details["sessions"] = str(ended)
    await auth.keys.replace_compromised(actor)
    return ended


async def _wait_for_others(tx: AsyncSession, auth: Auth) -> None:
    # Other transactions hold the session that they act in, and may end further ones: to lock all
    # rows one after the other would be a deadlock.
    if auth.db.dialect == "postgresql":
        await tx.execute(text("LOCK TABLE sessions IN EXCLUSIVE MODE"))


async def revoke_token(auth: Auth, client: Client, token: str) -> None:
    """Ends the session of an access or a refresh token (RFC 7009); a dead token is no error."""
    try:
        if looks_like_refresh_token(token):
            session_id = auth.refresh_tokens.parse(token).session_id
        else:
            session_id = (await viewer_of(auth, client, token)).session_id
    except (InvalidRefreshToken, Unauthenticated):
        return
    await log_out(auth, client, session_id)
