"""Registration: open to everybody, to who was invited, or closed."""

from auth.audit import Action, AuditEntry, record
from auth.clients import Client
from auth.email_verification import hold_registration
from auth.errors import (
    InvitationRequired,
    RegistrationClosed,
)
from auth.invitations import register_invited
from auth.mail.outbox import EmailKind
from auth.names import canonical
from auth.permissions import DEFAULT_ROLE
from auth.records import UserRecord
from auth.roles import find_roles_by_name
from auth.throttling.budgets import (
    MAIL,
    MAIL_NETWORK,
    MAIL_SITE,
    REGISTRATION,
    REGISTRATION_SITE,
    Budget,
    network_budgets,
)
from auth.tokens.link_tokens import Purpose
from auth.user_creation import (
    NewUser,
    NewUserForm,
    insert_user,
    prepare_user,
    telling_taken_names,
)
from auth.user_links import send_link
from auth.wiring import Auth, RegistrationMode


async def register(
    auth: Auth, client: Client, form: NewUserForm, invitation: str | None = None
) -> UserRecord | None:
    """Creates one's own account, with the role `user` or those of the invitation.

    Returns None where the address has to be verified first: the account begins when the link in
    the mail is followed, and whether the address has one already is told to its owner only.
    Raises RegistrationClosed, InvitationRequired, InvitationInvalid, RateLimited, and Refusals with
    everything that is wrong with the form.
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
        new = await prepare_user(auth, form, tells_taken_email=not policy.verifies_email)
    if policy.verifies_email:
        await auth.throttle.consume(*_mail_budgets(client, new))
        await hold_registration(auth, new)
        return None
    return await _add(auth, client, new)


def _mail_budgets(client: Client, new: NewUser) -> list[Budget]:
    """What counts the email: it goes to whatever address a stranger types."""
    assert new.email
    networks = network_budgets(MAIL_NETWORK, MAIL_SITE, client.address)
    return [Budget(MAIL, canonical(new.email)), *networks]


async def _add(auth: Auth, client: Client, new: NewUser) -> UserRecord:
    roles = await find_roles_by_name(auth, [DEFAULT_ROLE])
    role_ids = [role.id for role in roles]
    async with telling_taken_names(auth, new.username, new.email), auth.db.begin() as tx:
        if auth.sends_email:
            await auth.throttle.consume_in(tx, *_mail_budgets(client, new))
        row = await insert_user(tx, auth, new, role_ids)
        record(tx, AuditEntry(Action.USER_REGISTERED, row.created_at, client, row.id, row.id))
        await send_link(tx, auth, row, Purpose.EMAIL_VERIFICATION, EmailKind.EMAIL_VERIFICATION)
        return UserRecord.of(row, auth.permissions)
