"""The audit log: its events, and the query that searches it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

import strawberry

from auth.audit import Action
from auth.audit_list import AuditFilter, AuditRecord, AuditSlice, list_audit_events
from auth.session_list import describe_device
from graph.arguments import given, parse_id
from graph.connections import After, Before, Connection, First, Last, read_page
from graph.context import Info
from graph.errors.graphql_errors import BadUserInput
from graph.permissions import HasPermission

ACTIONS = ", ".join(f"`{action}`" for action in Action)


@strawberry.type
class AuditDetail:
    """An additional fact about an audit event."""

    name: str = strawberry.field(description="Name of the detail, e.g. `reason`.")
    value: str = strawberry.field(description="Value of the detail.")


@strawberry.type
class AuditEvent:
    """An event of the audit log: who did what to whom, and whether it succeeded."""

    id: strawberry.ID = strawberry.field(description="UUID; sorts by time.")
    at: datetime = strawberry.field(description="When it happened.")
    action: str = strawberry.field(description=f"One of {ACTIONS}.")
    succeeded: bool = strawberry.field(description="False if the attempt was refused.")
    actor_id: strawberry.ID | None = strawberry.field(
        description="ID of the user who did it; null if the caller was not signed in, and for the"
        " command line and the server itself."
    )
    subject_id: strawberry.ID | None = strawberry.field(
        description="ID of the user it was done to; null if there is none."
    )
    session_id: strawberry.ID | None = strawberry.field(
        description="ID of the session that the actor used, or that was changed; null if none."
    )
    address: str | None = strawberry.field(
        description="IP address of the client; null if unknown, or if another user did it and you"
        " do not hold `audit:read`."
    )
    device: str | None = strawberry.field(
        description="Browser and system, e.g. `Firefox on Linux`; null if unknown, or if `address`"
        " is withheld."
    )
    details: list[AuditDetail] = strawberry.field(description="Additional facts.")

    @classmethod
    def of(cls, event: AuditRecord) -> Self:
        """Returns an audit event in its GraphQL form."""
        return cls(
            id=strawberry.ID(str(event.id)),
            at=event.at,
            action=event.action,
            succeeded=event.succeeded,
            actor_id=_id(event.actor_id),
            subject_id=_id(event.subject_id),
            session_id=_id(event.session_id),
            address=event.client_address,
            device=describe_device(event.user_agent),
            details=[AuditDetail(name=n, value=v) for n, v in sorted(event.details.items())],
        )


def audit_connection(page: AuditSlice) -> Connection[AuditEvent]:
    """Returns a page of the audit log as a connection."""
    items: Sequence[tuple[UUID, AuditEvent]] = [(e.id, AuditEvent.of(e)) for e in page.events]
    return Connection[AuditEvent].of(items, has_next=page.has_next, has_previous=page.has_previous)


@strawberry.type
class AuditQueries:
    """The query of the audit log."""

    @strawberry.field(permission_classes=[HasPermission("audit:read")])
    async def audit_events(  # noqa: PLR0913, PLR0917 - the arguments of a connection, and the filters
        self,
        info: Info,
        first: First = strawberry.UNSET,
        after: After = strawberry.UNSET,
        last: Last = strawberry.UNSET,
        before: Before = strawberry.UNSET,
        actor_id: Annotated[
            strawberry.ID | None,
            strawberry.argument(description="Only events that this user caused."),
        ] = strawberry.UNSET,
        subject_id: Annotated[
            strawberry.ID | None,
            strawberry.argument(description="Only events that concern this user."),
        ] = strawberry.UNSET,
        action: Annotated[
            str | None, strawberry.argument(description="Only this action.")
        ] = strawberry.UNSET,
    ) -> Connection[AuditEvent] | None:
        """All audit events, newest first."""
        page = await list_audit_events(
            info.context.auth,
            info.context.viewer,
            page=read_page(given(first), given(after), given(last), given(before)),
            filters=AuditFilter(
                actor_id=_read_id("actorId", given(actor_id)),
                subject_id=_read_id("subjectId", given(subject_id)),
                action=_read_action(given(action)),
            ),
        )
        return audit_connection(page)


def _id(identifier: UUID | None) -> strawberry.ID | None:
    return None if identifier is None else strawberry.ID(str(identifier))


def _read_id(name: str, text: str | None) -> UUID | None:
    identifier = None if text is None else parse_id(text)
    if text is not None and identifier is None:
        raise BadUserInput(f"`{name}` is not a user ID. Send a UUID.")
    return identifier


def _read_action(text: str | None) -> str | None:
    # A misspelt action must not look like an empty result.
    if text is not None and text not in set(Action):
        raise BadUserInput(f"Unknown action. Send one of {ACTIONS}.")
    return text
