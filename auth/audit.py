"""The audit trail: each act is written down in the transaction that does it (ASVS 5.0, 16.3).

A refresh is not: it is the session that goes on, and its row says when.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from auth.clients import Client
from auth.permissions import Actor
from auth.sessions import printable_user_agent
from models.audit_event import AuditEvent

_DETAIL_MAX_LENGTH = 1000


class Action(StrEnum):
    """What can be done. The names stay: programs filter by them."""

    USER_REGISTERED = "user.registered"
    USER_CREATED = "user.created"
    USER_EDITED = "user.edited"
    USER_DELETED = "user.deleted"
    USER_EXPORTED = "user.exported"
    USER_IMPORTED = "user.imported"
    USERS_EXPORTED = "users.exported"
    USER_DISABLED = "user.disabled"
    USER_ENABLED = "user.enabled"
    USER_ROLES_SET = "user.roles_set"
    PROFILE_EDITED = "profile.edited"
    EMAIL_VERIFICATION_REQUESTED = "email.verification_requested"
    EMAIL_VERIFIED = "email.verified"
    EMAIL_CHANGE_REQUESTED = "email.change_requested"
    EMAIL_CHANGED = "email.changed"
    PASSWORD_CHANGED = "password.changed"  # noqa: S105 - an act, not a secret
    PASSWORD_RESET_REQUESTED = "password.reset_requested"  # noqa: S105 - the same
    PASSWORD_RESET_REQUIRED = "password.reset_required"  # noqa: S105 - the same
    PASSWORD_RESET = "password.reset"  # noqa: S105 - the same
    TEMPORARY_PASSWORD_SET = "password.temporary_set"  # noqa: S105 - the same
    INVITATION_CREATED = "invitation.created"
    INVITATION_DELETED = "invitation.deleted"
    ROLE_CREATED = "role.created"
    ROLE_EDITED = "role.edited"
    ROLE_DELETED = "role.deleted"
    SESSION_STARTED = "session.started"
    SESSION_REPLAYED = "session.replayed"
    SESSION_ENDED = "session.ended"
    SESSIONS_ENDED = "session.all_ended"
    ALL_USERS_SIGNED_OUT = "session.everybody_ended"
    KEYS_ROTATED = "keys.rotated"
    KEYS_REPLACED = "keys.replaced"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what to whom, when, from where, and whether it went well.

    Details are few words. Nothing that somebody typed belongs into them: it might be a password in
    the wrong field.
    """

    action: Action
    at: datetime
    client: Client
    actor_id: UUID | None = None
    subject_id: UUID | None = None
    session_id: UUID | None = None
    succeeded: bool = True
    details: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def by(cls, actor: Actor, action: Action, at: datetime, **more: Any) -> Self:
        """What a viewer, or an operator at the console, does."""
        return cls(action, at, actor.client, actor_id=actor.user_id, **more)


def join_detail(words: Iterable[str]) -> str:
    """Many words as one detail, sorted; what does not fit is counted."""
    text = ",".join(sorted(words))
    if len(text) <= _DETAIL_MAX_LENGTH:
        return text
    kept = text[:_DETAIL_MAX_LENGTH].rpartition(",")[0]
    return f"{kept},+{text.count(',') - kept.count(',')}"


def record(tx: AsyncSession, act: AuditEntry) -> None:
    """Adds a row to the transaction of the act."""
    tx.add(AuditEvent(**_columns(act)))


async def record_all(tx: AsyncSession, acts: Iterable[AuditEntry]) -> None:
    """Adds a row for each of many acts to their transaction."""
    # Past the unit of work, which would double the time.
    connection = await tx.connection()
    await connection.execute(insert(AuditEvent), [_columns(act) for act in acts])


def _columns(act: AuditEntry) -> dict[str, Any]:
    return {
        "at": act.at,
        "action": act.action.value,
        "succeeded": act.succeeded,
        "actor_id": act.actor_id,
        "subject_id": act.subject_id,
        "session_id": act.session_id,
        "client_address": act.client.address,
        "user_agent": printable_user_agent(act.client.user_agent),
        "details": dict(act.details),
    }
