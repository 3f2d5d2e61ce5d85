"""The audit log: each action writes an event in the same transaction (ASVS 5.0, 16.3).

A refresh writes no event. The row of the session has the time of the last refresh.
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
    """The actions in the audit log. The values are stable, because programs filter by them."""

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
    PASSWORD_CHANGED = "password.changed"  # noqa: S105 - an action, not a secret
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
    """A new audit event: who did what to whom, when, from where, and with what result.

    Never put user input into the details: it may be a password typed into the wrong field.
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
        """Returns the event of a viewer, or of an operator at the console."""
        return cls(action, at, actor.client, actor_id=actor.user_id, **more)


def join_detail(words: Iterable[str]) -> str:
    """Joins words into one detail, sorted. Replaces the words that do not fit with their number."""
    text = ",".join(sorted(words))
    if len(text) <= _DETAIL_MAX_LENGTH:
        return text
    kept = text[:_DETAIL_MAX_LENGTH].rpartition(",")[0]
    return f"{kept},+{text.count(',') - kept.count(',')}"


def record(tx: AsyncSession, entry: AuditEntry) -> None:
    """Adds an event to the transaction of its action."""
    tx.add(AuditEvent(**_columns(entry)))


async def record_all(tx: AsyncSession, entries: Iterable[AuditEntry]) -> None:
    """Adds many events to the transaction of their action."""
    # Without the unit of work, which would take twice the time.
    connection = await tx.connection()
    await connection.execute(insert(AuditEvent), [_columns(entry) for entry in entries])


def _columns(entry: AuditEntry) -> dict[str, Any]:
    return {
        "at": entry.at,
        "action": entry.action.value,
        "succeeded": entry.succeeded,
        "actor_id": entry.actor_id,
        "subject_id": entry.subject_id,
        "session_id": entry.session_id,
        "client_address": entry.client.address,
        "user_agent": printable_user_agent(entry.client.user_agent),
        "details": dict(entry.details),
    }
