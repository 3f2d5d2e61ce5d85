"""End sessions: this one, another one, all of one's own."""

from uuid import UUID

from sqlalchemy import select

from auth.audit import Act, Action, record
from auth.clients import Client
from auth.errors import InvalidRefreshToken, SessionNotFound, Unauthenticated
from auth.policies import Actor, check_may, may
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
    now, reason = auth.clock.now(), RevocationReason.LOGGED_OUT_EVERYWHERE
    async with auth.db.begin() as tx:
        ended = await revoke_sessions_of(tx, viewer.user_id, reason, now)
        act = Act.by(
            viewer,
            Action.SESSIONS_ENDED,
            now,
            subject_id=viewer.user_id,
            session_id=viewer.session_id,
            details={"sessions": str(ended)},
        )
        record(tx, act)
        return ended


async def end_session(auth: Auth, viewer: Viewer, session_id: UUID) -> None:
    """Ends one session: one's own, or anybody's for `sessions:revoke`.

    Raises SessionNotFound if there is none, it has ended, or it is somebody else's and the viewer
    may not know of it: ids of sessions are not to be probed.
    """
    now = auth.clock.now()
    async with auth.db.begin() as tx:
        owner = await tx.scalar(select(Session.user_id).where(Session.id == session_id))
        if owner != viewer.user_id and not may(viewer, "sessions:revoke"):
            raise SessionNotFound
        reason = (
            RevocationReason.REVOKED_BY_OWNER
            if owner == viewer.user_id
            else RevocationReason.REVOKED_BY_OPERATOR
        )
        if not await revoke_session(tx, session_id, reason, now):
            raise SessionNotFound
        act = Act.by(viewer, Action.SESSION_ENDED, now, subject_id=owner, session_id=session_id)
        record(tx, act)


async def end_all_sessions(auth: Auth, actor: Actor) -> int:
    """Signs everybody out and replaces the signing keys. Returns how many sessions were ended.

    For the worst days: a backup was restored, in which revoked sessions are alive again, or the
    database was in foreign hands. Raises Forbidden.
    """
    check_may(actor, "sessions:revoke")
    async with auth.db.begin() as tx:
        now = auth.clock.now()
        ended = await revoke_all_sessions(tx, now)
        details = {"sessions": str(ended)}
        record(tx, Act.by(actor, Action.EVERYBODY_SIGNED_OUT, now, details=details))
    await auth.keys.replace_compromised(actor)
    return ended


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
