"""Registration: open to everybody, to who was invited, or closed."""

from auth.audit import Act, Action, record
from auth.clients import Client
from auth.email_verification import hold_registration
from auth.errors import RegistrationClosed
from auth.invitations import register_invited
from auth.links import Purpose
from auth.mail_errors import (
    InvitationRequired,
)
from auth.names import canonical
from auth.new_users import (
    NewUserForm,
    insert_user,
    prepare_user,
    telling_taken_names,
)
from auth.outbox import Kind
from auth.policies import DEFAULT_ROLE
from auth.records import UserRecord
from auth.roles import find_roles_by_name
from auth.throttling import MAIL, REGISTRATION, Budget, network_of
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
    await auth.throttle.attempt(Budget(REGISTRATION, network_of(client.address)))
    if invitation:
        return await register_invited(auth, client, form, invitation)
    if policy.verifies_email:
        await _register_when_verified(auth, form)
        return None
    return await _register_at_once(auth, client, form)


async def _register_when_verified(auth: Auth, form: NewUserForm) -> None:
    new = await prepare_user(auth, form, tells_taken_email=False)
    assert new.email
    await auth.throttle.attempt(Budget(MAIL, canonical(new.email)))
    await hold_registration(auth, new)


async def _register_at_once(auth: Auth, client: Client, form: NewUserForm) -> UserRecord:
    new = await prepare_user(auth, form)
    roles = await find_roles_by_name(auth, [DEFAULT_ROLE])
    role_ids = [role.id for role in roles]
    async with telling_taken_names(auth, new.username, new.email), auth.db.begin() as tx:
        row = await insert_user(tx, auth, new, role_ids)
        record(tx, Act(Action.USER_REGISTERED, row.created_at, client, row.id, row.id))
        await send_link(tx, auth, row, Purpose.EMAIL_VERIFICATION, Kind.EMAIL_VERIFICATION)
        return UserRecord.of(row, auth.permissions)
