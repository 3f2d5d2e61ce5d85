"""Accounts as their owners see them: registration."""

from auth.audit import Action
from auth.clients import Client
from auth.errors import RegistrationClosed
from auth.new_users import NewUserForm, add_user, prepare_user
from auth.records import UserRecord
from auth.roles import DEFAULT_ROLE, find_roles_by_name
from auth.throttling import REGISTRATION, Budget, network_of
from auth.wiring import Auth


async def register(auth: Auth, client: Client, form: NewUserForm) -> UserRecord:
    """Creates one's own account, with the role `user`.

    Raises RegistrationClosed, RateLimited, and Refusals with everything that is wrong with the
    form.
    """
    if not auth.registration_policy.open:
        raise RegistrationClosed
    await auth.throttle.attempt(Budget(REGISTRATION, network_of(client.address)))
    new = await prepare_user(auth, form)
    roles = await find_roles_by_name(auth, [DEFAULT_ROLE])
    return await add_user(
        auth, new, [role.id for role in roles], Action.USER_REGISTERED, client, actor=None
    )
