"""Invitations in GraphQL."""

from datetime import datetime
from typing import Self

import strawberry

from auth.errors import (
    EmailInvalid,
    EmailTaken,
    InvitationNotFound,
    MailUnavailable,
    RateLimited,
    RoleNotFound,
)
from auth.invitations import (
    InvitationRecord,
    create_invitation,
    delete_invitation,
    list_invitations,
)
from graph.arguments import given, parse_id, read_role_ids
from graph.connections import After, Connection, First, read_page
from graph.context import Info
from graph.errors.user_errors import Fails, UserError, errors_field
from graph.permissions import HasPermission
from graph.roles import Role


@strawberry.type
class Invitation:
    """Somebody was asked by mail to make an account, and has not yet."""

    id: strawberry.ID = strawberry.field(description="UUID of the invitation.")
    email: str = strawberry.field(description="The address that the account will have.")
    roles: list[Role] = strawberry.field(
        description="The roles that the account will have; `user` if there are none."
    )
    created_at: datetime = strawberry.field(description="When it was sent.")
    expires_at: datetime = strawberry.field(description="Until when the link works.")

    @classmethod
    def of(cls, invitation: InvitationRecord) -> Self:
        """Shows an invitation."""
        return cls(
            id=strawberry.ID(str(invitation.id)),
            email=invitation.email,
            roles=[Role.of(role) for role in invitation.roles],
            created_at=invitation.created_at,
            expires_at=invitation.expires_at,
        )


@strawberry.input
class CreateInvitationInput:
    """Whom to invite."""

    email: str = strawberry.field(description="Where the link is sent.")
    role_ids: list[strawberry.ID] = strawberry.field(
        description="The roles to begin with; giving any needs `roles:write` too.",
        default_factory=list,
    )


@strawberry.type
class CreateInvitationPayload:
    """Result of `createInvitation`."""

    invitation: Invitation | None = strawberry.field(description="The invitation.", default=None)
    errors: list[UserError] = errors_field()


@strawberry.input
class DeleteInvitationInput:
    """Which invitation to withdraw."""

    invitation_id: strawberry.ID = strawberry.field(description="One of `invitations`.")


@strawberry.type
class DeleteInvitationPayload:
    """Result of `deleteInvitation`."""

    invitation_id: strawberry.ID | None = strawberry.field(
        description="The invitation that is no more.", default=None
    )
    errors: list[UserError] = errors_field()


@strawberry.type
class InvitationQueries:
    """Root fields about invitations."""

    @strawberry.field(permission_classes=[HasPermission("users:read")])
    async def invitations(
        self, info: Info, first: First = strawberry.UNSET, after: After = strawberry.UNSET
    ) -> Connection[Invitation] | None:
        """Invitations that nobody has used yet, newest first."""
        context = info.context
        page = read_page(given(first), given(after), None, None)
        found = await list_invitations(context.auth, context.viewer, page)
        return Connection[Invitation].of(
            [(invitation.id, Invitation.of(invitation)) for invitation in found.invitations],
            has_next=found.has_next,
            has_previous=found.has_previous,
        )


@strawberry.type
class InvitationMutations:
    """Root fields that change invitations."""

    @strawberry.mutation(
        permission_classes=[HasPermission("users:write")],
        extensions=[
            Fails(
                MailUnavailable,
                EmailInvalid,
                EmailTaken,
                RoleNotFound,
                RateLimited,
                repeatable=True,
            )
        ],
    )
    async def create_invitation(
        self, info: Info, input: CreateInvitationInput
    ) -> CreateInvitationPayload | None:
        """Invites somebody by mail; an earlier invitation of the address ends."""
        context = info.context
        invitation = await create_invitation(
            context.auth,
            context.viewer,
            email=input.email,
            role_ids=read_role_ids(input.role_ids),
        )
        return CreateInvitationPayload(invitation=Invitation.of(invitation))

    @strawberry.mutation(
        permission_classes=[HasPermission("users:write")], extensions=[Fails(InvitationNotFound)]
    )
    async def delete_invitation(
        self, info: Info, input: DeleteInvitationInput
    ) -> DeleteInvitationPayload | None:
        """Withdraws an invitation: its link works no more."""
        context = info.context
        invitation_id = parse_id(input.invitation_id)
        if invitation_id is None:
            raise InvitationNotFound
        gone = await delete_invitation(context.auth, context.viewer, invitation_id)
        return DeleteInvitationPayload(invitation_id=strawberry.ID(str(gone)))
