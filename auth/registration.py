"""Registration: users create their own account, if it is open or with an invitation."""

from auth.audit import Action, AuditEntry, record
from auth.clients import Client
from auth.errors import InvitationRequired, RegistrationClosed
from auth.invitations import register_invited
from auth.mail.outbox import EmailKind
from auth.pending_registrations import create_pending_registration
from auth.permissions import DEFAULT_ROLE
from auth.records import UserRecord
from auth.roles import find_roles_by_name
from auth.throttling.budgets import REGISTRATION, REGISTRATION_SITE, email_budgets, network_budgets
from auth.tokens.link_tokens import Purpose
from auth.user_creation import NewUser, NewUserForm, insert_user, prepare_user, refusing_taken_names
from auth.user_links import send_link
from auth.wiring import Auth, RegistrationMode


async def register(
    auth: Auth, client: Client, form: NewUserForm, invitation: str | None = None
) -> UserRecord | None:
    """Creates an account with the role `user`, or with the roles of the invitation.

    Returns None if the address must be verified first: the link in the email creates the account.
    Then only the owner of the mailbox learns whether the address already has an account. Raises
    RegistrationClosed, InvitationRequired, InvitationInvalid, RateLimited, and Refusals with all
    problems of the form.
    """
    policy = auth.registration_policy
    if policy.mode is RegistrationMode.CLOSED:
        raise RegistrationClosed
    if policy.mode is RegistrationMode.INVITATION and not invitation:
        raise InvitationRequired
    networks = network_budgets(REGISTRATION, REGISTRATION_SITE, client.address)
    async with auth.throttle.count(*networks):
        if invitation:
            return await register_invited(auth, client, form, invitation)
        new = await prepare_user(auth, form, reports_taken_email=not policy.verifies_email)
    if policy.verifies_email:
        assert new.email
        await auth.throttle.consume(*email_budgets(new.email, client.address))
        await create_pending_registration(auth, new)
        return None
    return await _add(auth, client, new)


async def _add(auth: Auth, client: Client, new: NewUser) -> UserRecord:
    roles = await find_roles_by_name(auth, [DEFAULT_ROLE])
    role_ids = [role.id for role in roles]
    async with refusing_taken_names(auth, new.username, new.email), auth.db.begin() as tx:
        if auth.sends_email:
            assert new.email
            await auth.throttle.consume_in(tx, *email_budgets(new.email, client.address))
        row = await insert_user(tx, auth, new, role_ids)
        record(tx, AuditEntry(Action.USER_REGISTERED, row.created_at, client, row.id, row.id))
        await send_link(tx, auth, row, Purpose.EMAIL_VERIFICATION, EmailKind.EMAIL_VERIFICATION)
        return UserRecord.of(row, auth.permissions)
