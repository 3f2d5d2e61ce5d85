"""Invitations: admins invite users by email, and withdraw invitations."""

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
    """An invitation by email to create an account, which is not accepted yet."""

    id: strawberry.ID = strawberry.field(description="UUID.")
    email: str = strawberry.field(description="The email address of the future account.")
    roles: list[Role] = strawberry.field(
        description="The roles of the future account; `user` if the list is empty."
    )
    created_at: datetime = strawberry.field(description="When the invitation was sent.")
    expires_at: datetime = strawberry.field(description="When the link expires.")

    @classmethod
    def of(cls, invitation: InvitationRecord) -> Self:
        """Returns an invitation in its GraphQL form."""
        return cls(
            id=strawberry.ID(str(invitation.id)),
            email=invitation.email,
            roles=[Role.of(role) for role in invitation.roles],
            created_at=invitation.created_at,
            expires_at=invitation.expires_at,
        )


@strawberry.input
class CreateInvitationInput:
    """The address to invite, and the roles of the future account."""

    email: str = strawberry.field(description="The address that receives the link.")
    role_ids: list[strawberry.ID] = strawberry.field(
        description="IDs of the roles of the future account; any role also requires `roles:write`.",
        default_factory=list,
    )


@strawberry.type
class CreateInvitationPayload:
    """Result of `createInvitation`."""

    invitation: Invitation | None = strawberry.field(
        description="The created invitation.", default=None
    )
    errors: list[UserError] = errors_field()


@strawberry.input
class DeleteInvitationInput:
    """The invitation to withdraw."""

    invitation_id: strawberry.ID = strawberry.field(description="ID of an invitation.")


@strawberry.type
class DeleteInvitationPayload:
    """Result of `deleteInvitation`."""

    invitation_id: strawberry.ID | None = strawberry.field(
        description="The ID of the withdrawn invitation.", default=None
    )
    errors: list[UserError] = errors_field()


@strawberry.type
class InvitationQueries:
    """The query of invitations."""

    @strawberry.field(permission_classes=[HasPermission("users:read")])
    async def invitations(
        self, info: Info, first: First = strawberry.UNSET, after: After = strawberry.UNSET
    ) -> Connection[Invitation] | None:
        """Open invitations, newest first."""
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
    """The mutations of invitations."""

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
        """Sends an invitation by email. It replaces an earlier invitation of the same address."""
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
        """Withdraws an invitation; its link stops working."""
        context = info.context
        invitation_id = parse_id(input.invitation_id)
        if invitation_id is None:
            raise InvitationNotFound
        deleted_id = await delete_invitation(context.auth, context.viewer, invitation_id)
        return DeleteInvitationPayload(invitation_id=strawberry.ID(str(deleted_id)))
