"""Rate limit for the emails that admins cause, by address and in total."""

from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest

from auth.clients import Client
from auth.errors import RateLimited
from auth.invitations import create_invitation
from auth.password_reset import request_password_reset, require_password_reset, reset_password
from auth.permissions import Actor
from auth.throttling.budgets import admin_email_budgets
from auth.user_creation import NewUserForm, create_user
from auth.user_edits import UserEdit, update_user
from auth.users import find_user_by_name
from auth.viewers import Viewer
from auth.wiring import Auth
from tests.accounts import ADMIN, ALICE, BOB, OPERATOR
from tests.api import Api
from tests.clock import ManualClock
from tests.emails import Mailbox
from tests.mutations import viewer_for

RECIPIENT, ANOTHER = "newcomer@example.com", "another@example.com"


@pytest.fixture
async def operator(sqlite_api: Api) -> Viewer:
    return await viewer_for(sqlite_api, ADMIN)


async def id_of_bob(auth: Auth) -> UUID:
    bob = await find_user_by_name(auth, BOB.username)
    assert bob
    return bob.id


async def invite(auth: Auth, actor: Actor, email: str) -> None:
    await create_invitation(auth, actor, email=email, role_ids=[])


async def create(auth: Auth, actor: Actor, email: str) -> None:
    await create_user(auth, actor, NewUserForm("newcomer", email), [])


async def edit(auth: Auth, actor: Actor, email: str) -> None:
    await update_user(auth, actor, await id_of_bob(auth), UserEdit(email=email))


async def force_reset(auth: Auth, actor: Actor, email: str) -> None:
    await update_user(auth, OPERATOR, await id_of_bob(auth), UserEdit(email=email))
    await require_password_reset(auth, actor, await id_of_bob(auth))


async def count_emails(auth: Auth, operator: Viewer, count: int, email: str | None = None) -> None:
    """Counts emails of the admin, all to one address or each to another."""
    async with auth.db.begin() as tx:
        for number in range(count):
            budgets = admin_email_budgets(operator.user_id, email or f"{number}@example.com")
            await auth.throttle.consume_in(tx, *budgets)


async def test_invitations_to_one_address_are_limited(
    sqlite_api: Api, operator: Viewer, clock: ManualClock
) -> None:
    auth = sqlite_api.auth
    for spelling in (RECIPIENT, "Newcomer@Example.com", RECIPIENT):
        await invite(auth, operator, spelling)
    with pytest.raises(RateLimited) as refused:
        await invite(auth, operator, RECIPIENT)
    assert refused.value.retry_after.total_seconds() == 60
    await invite(auth, operator, ANOTHER)
    clock.tick(seconds=60)
    await invite(auth, operator, RECIPIENT)


async def test_admin_can_send_300_invitations(sqlite_api: Api, operator: Viewer) -> None:
    auth = sqlite_api.auth
    await count_emails(auth, operator, 299)
    await invite(auth, operator, RECIPIENT)
    with pytest.raises(RateLimited):
        await invite(auth, operator, ANOTHER)


@pytest.mark.parametrize("act", [invite, create, edit, force_reset])
@pytest.mark.parametrize("email", [None, RECIPIENT])
async def test_each_operation_with_link_email_is_limited(
    sqlite_api: Api,
    operator: Viewer,
    act: Callable[[Auth, Actor, str], Awaitable[None]],
    email: str | None,
) -> None:
    """A stolen admin token cannot be used to flood addresses with email."""
    await count_emails(sqlite_api.auth, operator, 3 if email else 300, email)
    with pytest.raises(RateLimited):
        await act(sqlite_api.auth, operator, RECIPIENT)


async def test_limited_invitation_changes_nothing(
    sqlite_api: Api, mailbox: Mailbox, operator: Viewer
) -> None:
    for _ in range(3):
        await invite(sqlite_api.auth, operator, RECIPIENT)
    with pytest.raises(RateLimited):
        await invite(sqlite_api.auth, operator, RECIPIENT)
    await sqlite_api.send_emails()
    # The newest invitation is valid. Those that it replaced were not sent.
    (mail,) = mailbox.emails(RECIPIENT)
    register = """mutation($token: String!) { register(input: {username: "newcomer",
        email: "newcomer@example.com", password: "a password of my own", invitation: $token}) {
        errors { code } } }"""
    assert (await sqlite_api.data(register, {"token": mail.token}))["register"]["errors"] == []


async def test_console_is_not_limited(sqlite_api: Api) -> None:
    for _ in range(5):
        await invite(sqlite_api.auth, OPERATOR, RECIPIENT)


async def test_admin_emails_do_not_limit_password_reset_of_owner(
    sqlite_api: Api, mailbox: Mailbox, operator: Viewer
) -> None:
    auth = sqlite_api.auth
    await count_emails(auth, operator, 3, ALICE.email)
    await count_emails(auth, operator, 297)
    await request_password_reset(auth, Client("192.0.2.7"), email=ALICE.email)
    await sqlite_api.send_emails()
    token = mailbox.last(ALICE.email).token
    await reset_password(auth, Client("192.0.2.7"), token=token, new="a password of my own")


async def test_admin_sends_several_invitations_in_one_document(sqlite_api: Api) -> None:
    fields = " ".join(
        f"""m{n}: createInvitation(input: {{email: "m{n}@example.com"}}) {{ errors {{ code }} }}"""
        for n in range(5)
    )
    token = await sqlite_api.log_in(ADMIN)
    data = await sqlite_api.data(f"mutation {{ {fields} }}", token=token)
    assert [payload["errors"] for payload in data.values()] == [[]] * 5
