"""Each mutation that changes something writes one audit event with its actor and subject."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update

from auth.audit import Action, join_detail
from auth.clients import Client
from auth.email_change import confirm_email_change, request_email_change
from auth.email_verification import verify_email
from auth.errors import AuthError, PasswordChangeRequired, Refusals
from auth.link_passwords import TypedPassword
from auth.login import log_in
from auth.password_reset import request_password_reset, reset_password
from auth.role_edits import RoleForm, create_role, delete_role, update_role
from auth.roles import list_roles
from auth.user_access import set_user_roles
from auth.user_edits import UserEdit, update_user
from auth.users import find_user_by_name
from auth.wiring import Auth
from models.audit_event import AuditEvent
from models.outgoing_email import OutgoingEmail
from models.role import Role
from models.session import Session
from models.user import User
from tests.accounts import ADMIN, ALICE, AUDITOR, BOB, OPERATOR
from tests.api import Api
from tests.emails import Mailbox
from tests.mutations import Scene, all_mutations, make_scene, run_mutation, viewer_for

# Mutations of an admin, on the user of the scene or on no user.
ON_USER = {
    "setUserRoles": Action.USER_ROLES_SET,
    "disableUser": Action.USER_DISABLED,
    "enableUser": Action.USER_ENABLED,
    "updateUser": Action.USER_EDITED,
    "deleteUser": Action.USER_DELETED,
    "revokeUserSessions": Action.SESSIONS_ENDED,
    "requirePasswordReset": Action.PASSWORD_RESET_REQUIRED,
    "setTemporaryPassword": Action.TEMPORARY_PASSWORD_SET,
    "revokeSession": Action.SESSION_ENDED,
}
WITHOUT_SUBJECT = {
    "createInvitation": Action.INVITATION_CREATED,
    "deleteInvitation": Action.INVITATION_DELETED,
    "createRole": Action.ROLE_CREATED,
    "updateRole": Action.ROLE_EDITED,
    "deleteRole": Action.ROLE_DELETED,
}
ON_OWN_ACCOUNT = {
    "changePassword": Action.PASSWORD_CHANGED,
    "requestEmailChange": Action.EMAIL_CHANGE_REQUESTED,
    "requestEmailVerification": Action.EMAIL_VERIFICATION_REQUESTED,
    "updateProfile": Action.PROFILE_EDITED,
    "deleteAccount": Action.USER_DELETED,
    "exportAccount": Action.USER_EXPORTED,
    "logoutEverywhere": Action.SESSIONS_ENDED,
}
# They need no viewer, or have another actor or subject. Other tests cover them.
WITHOUT_VIEWER = {
    "createUser": "the subject is a new user: below",
    "register": "the actor is a new user: below",
    "login": "the actor is the user who signs in: below",
    "logout": "ends the session of the token or the cookie: below",
    "refreshTokens": "writes no event: the session has the time of its last use",
    "requestPasswordReset": "writes its event when the email is composed: below",
    "resetPassword": "needs the token of an email: below",
    "verifyEmail": "needs the token of an email: below",
    "confirmEmailChange": "needs the token of an email: below",
}


async def events(auth: Auth) -> Sequence[AuditEvent]:
    async with auth.db.read() as session:
        return (await session.scalars(select(AuditEvent).order_by(AuditEvent.id))).all()


async def only_event_of(auth: Auth, scene: Scene, mutation: str) -> AuditEvent:
    before = len(await events(auth))
    result = await run_mutation(auth, scene, mutation)
    assert result.errors is None
    assert result.data
    assert result.data[mutation]["errors"] == []
    (event,) = (await events(auth))[before:]
    assert event.succeeded
    assert event.client_address == scene.viewer.client.address
    return event


@pytest.fixture
async def scene(sqlite_api: Api) -> Scene:
    return await make_scene(sqlite_api)


def test_all_mutations_are_covered() -> None:
    known = [*ON_USER, *WITHOUT_SUBJECT, *ON_OWN_ACCOUNT, *WITHOUT_VIEWER]
    assert sorted(known) == sorted(all_mutations())


@pytest.mark.parametrize("mutation", [*ON_USER, *WITHOUT_SUBJECT])
async def test_admin_mutation_writes_one_event(
    sqlite_api: Api, scene: Scene, mutation: str
) -> None:
    if mutation == "enableUser":
        await run_mutation(sqlite_api.auth, scene, "disableUser")
    event = await only_event_of(sqlite_api.auth, scene, mutation)
    assert event.action == (ON_USER | WITHOUT_SUBJECT)[mutation]
    assert event.actor_id == scene.viewer.user_id
    assert event.subject_id == (scene.user_id if mutation in ON_USER else None)


# These have an effect each time.
REPEATED = ("createInvitation", "requirePasswordReset", "setTemporaryPassword")


@pytest.mark.parametrize("mutation", [*ON_USER, *WITHOUT_SUBJECT])
async def test_admin_mutation_that_changes_nothing_has_no_effect(
    sqlite_api: Api, scene: Scene, mutation: str
) -> None:
    """No event, no email, no ended session and no new version."""
    auth = sqlite_api.auth
    await run_mutation(auth, scene, mutation)
    before = await effects(auth)
    await run_mutation(auth, scene, mutation)
    assert (await effects(auth) == before) is (mutation not in REPEATED)


async def effects(auth: Auth) -> list[Sequence[Any]]:
    """Returns the rows that an admin mutation may add or change."""
    async with auth.db.read() as session:
        queries = (
            select(AuditEvent.id),
            select(OutgoingEmail.id),
            select(Session.id, Session.revoked_at),
            select(User.id, User.version),
            select(Role.id, Role.version),
        )
        return [(await session.execute(query)).all() for query in queries]


@pytest.mark.parametrize("mutation", ON_OWN_ACCOUNT)
async def test_own_account_mutation_writes_one_event(
    sqlite_api: Api, scene: Scene, mutation: str
) -> None:
    event = await only_event_of(sqlite_api.auth, scene, mutation)
    own_id = scene.viewer.user_id
    assert (event.action, event.actor_id, event.subject_id, event.session_id) == (
        ON_OWN_ACCOUNT[mutation],
        own_id,
        own_id,
        scene.viewer.session_id,
    )


async def test_created_user_is_the_subject(sqlite_api: Api, scene: Scene) -> None:
    event = await only_event_of(sqlite_api.auth, scene, "createUser")
    dora = await find_user_by_name(sqlite_api.auth, "dora")
    assert dora
    assert (event.action, event.actor_id, event.subject_id) == (
        Action.USER_CREATED,
        scene.viewer.user_id,
        dora.id,
    )


REGISTER = """mutation { register(input: {username: "carol", email: "carol@example.com",
    password: "of course a good one"}) { user { id } errors { code } } }"""
LOGOUT = "mutation { logout { endedSessions errors { code } } }"


async def test_registration_sign_in_and_sign_out_write_one_event_each(sqlite_api: Api) -> None:
    carol = UUID((await sqlite_api.data(REGISTER))["register"]["user"]["id"])
    login = await sqlite_api.try_login("carol", "of course a good one")
    await sqlite_api.data(LOGOUT, token=login["tokens"]["accessToken"])
    found = await events(sqlite_api.auth)
    assert [(e.action, e.actor_id, e.subject_id) for e in found] == [
        (action, carol, carol)
        for action in (Action.USER_REGISTERED, Action.SESSION_STARTED, Action.SESSION_ENDED)
    ]


# The links of emails

CLIENT = Client("198.51.100.7")
NEW_PASSWORD = "roses in december"

Written = tuple[str, UUID | None, UUID | None, str | None]


async def written(auth: Auth) -> list[Written]:
    """Returns the action, actor, subject and address of all events."""
    found = await events(auth)
    assert all(event.succeeded for event in found)
    return [(e.action, e.actor_id, e.subject_id, e.client_address) for e in found]


async def test_password_reset_writes_one_event_per_mutation(
    sqlite_api: Api, mailbox: Mailbox
) -> None:
    auth = sqlite_api.auth
    alice = await find_user_by_name(auth, "alice")
    assert alice
    await request_password_reset(auth, CLIENT, email=ALICE.email)
    await sqlite_api.send_emails()
    requested = (Action.PASSWORD_RESET_REQUESTED, None, alice.id, CLIENT.address)
    assert await written(auth) == [requested]
    token = mailbox.last(ALICE.email).token
    await reset_password(auth, CLIENT, token=token, new=NEW_PASSWORD)
    done = (Action.PASSWORD_RESET, alice.id, alice.id, CLIENT.address)
    assert await written(auth) == [requested, done]


@pytest.mark.parametrize(
    ("typed", "actions"),
    [
        (TypedPassword("of course a good one"), [Action.EMAIL_VERIFIED]),
        (TypedPassword(new=NEW_PASSWORD), [Action.PASSWORD_RESET, Action.EMAIL_VERIFIED]),
    ],
)
async def test_email_verification_writes_an_event_for_each_change(
    sqlite_api: Api, mailbox: Mailbox, typed: TypedPassword, actions: list[Action]
) -> None:
    carol = UUID((await sqlite_api.data(REGISTER))["register"]["user"]["id"])
    await sqlite_api.send_emails()
    before = len(await events(sqlite_api.auth))
    token = mailbox.last("carol@example.com").token
    await verify_email(sqlite_api.auth, CLIENT, token, typed)
    assert (await written(sqlite_api.auth))[before:] == [
        (action, carol, carol, CLIENT.address) for action in actions
    ]


async def test_email_change_confirmation_writes_one_event(
    sqlite_api: Api, mailbox: Mailbox
) -> None:
    auth, alice = sqlite_api.auth, await viewer_for(sqlite_api, ALICE)
    password, new_email = ALICE.password, "alice@example.org"
    await request_email_change(auth, alice, new_email=new_email, password=password)
    await sqlite_api.send_emails()
    before = len(await events(auth))
    await confirm_email_change(auth, CLIENT, mailbox.last(new_email).token, password=password)
    assert (await written(auth))[before:] == [
        (Action.EMAIL_CHANGED, alice.user_id, alice.user_id, CLIENT.address)
    ]


# Sign-ins with the right password that are refused


async def refused_reason(auth: Auth, error: type[AuthError], **more: str) -> str:
    before = len(await events(auth))
    with pytest.raises(error):
        await log_in(auth, Client(), username="alice", password=ALICE.password, **more)
    (event,) = (await events(auth))[before:]
    assert (event.action, event.succeeded) == (Action.SESSION_STARTED, False)
    return event.details["reason"]


async def change(auth: Auth, **columns: object) -> None:
    async with auth.db.begin() as tx:
        await tx.execute(update(User).where(User.username == "alice").values(**columns))


async def test_sign_in_that_needs_a_new_password_writes_one_event(sqlite_api: Api) -> None:
    auth = sqlite_api.auth
    await change(auth, password_is_temporary=True, created_at=auth.clock.now())
    required = await refused_reason(auth, PasswordChangeRequired)
    refused = await refused_reason(auth, Refusals, new_password="short")
    assert (required, refused) == ("password_change_required", "new_password_refused")


# Details of role edits


async def details(auth: Auth) -> dict[str, str]:
    return dict((await events(auth))[-1].details)


async def test_role_events_list_the_changes(auth: Auth) -> None:
    role = await create_role(auth, OPERATOR, RoleForm("reader", "", ["users:read"]))
    named = {"role_id": str(role.id), "role": "reader"}
    assert await details(auth) == named | {"added": "users:read"}
    form = RoleForm(permissions=["audit:read", "users:write"])
    await update_role(auth, OPERATOR, role.id, form)
    added = {"added": "audit:read,users:write", "removed": "users:read"}
    assert await details(auth) == named | added
    await update_role(auth, OPERATOR, role.id, RoleForm(description="Reads."))
    assert await details(auth) == named | {"changed": "description"}
    await delete_role(auth, OPERATOR, role.id)
    assert await details(auth) == named | {"removed": "audit:read,users:write"}


async def test_user_roles_event_lists_added_and_removed_roles(auth: Auth) -> None:
    alice = await find_user_by_name(auth, ALICE.username)
    assert alice
    ids = {role.name: role.id for role in await list_roles(auth, OPERATOR)}
    await set_user_roles(auth, OPERATOR, alice.id, [ids["user"], ids["auditor"]])
    assert await details(auth) == {"roles": "auditor,user", "added": "auditor"}
    await set_user_roles(auth, OPERATOR, alice.id, [ids["support"], ids["auditor"]])
    assert await details(auth) == {
        "roles": "auditor,support",
        "added": "support",
        "removed": "user",
    }


async def test_user_edited_event_lists_the_fields(auth: Auth) -> None:
    alice = await find_user_by_name(auth, ALICE.username)
    assert alice
    edit = UserEdit(username=ALICE.username, email=ALICE.email, full_name="Alice")
    await update_user(auth, OPERATOR, alice.id, edit)
    assert await details(auth) == {"fields": "full_name"}


def test_joined_detail_has_a_maximum_length() -> None:
    words = [f"resource{number:03}:action" for number in range(400)]
    text = join_detail(words)
    assert len(text) <= 1010
    kept, _, left = text.rpartition(",+")
    assert len(kept.split(",")) + int(left) == len(words)
    assert set(kept.split(",")) <= set(words)


# Addresses of other users

OWN = """{ me { auditEvents(first: 100) {
    nodes { action actorId address device } } } }"""
OF_USER = """query($id: ID!) { user(id: $id) { auditEvents(first: 100) {
    nodes { action actorId address device } } } }"""


async def test_user_does_not_see_address_of_admin(api: Api) -> None:
    alice = await viewer_for(api, ALICE)
    await update_user(
        api.auth, await viewer_for(api, ADMIN), alice.user_id, UserEdit(full_name="Alice")
    )
    await api.try_login(ALICE.username, "a guess")
    token = await api.log_in(ALICE)
    nodes: list[dict[str, Any]] = (await api.data(OWN, token=token))["me"]["auditEvents"]["nodes"]
    shown = {(n["action"], n["actorId"] == str(alice.user_id)): n for n in nodes}
    by_admin = shown["user.edited", False]
    assert (by_admin["address"], by_admin["device"]) == (None, None)
    # The user must see a failed sign-in by an unknown client.
    assert shown["session.started", False]["address"] == "192.0.2.7"
    assert shown["session.started", True]["address"] == "192.0.2.7"


async def test_auditor_sees_address_of_admin(api: Api) -> None:
    bob = await viewer_for(api, BOB)
    await update_user(
        api.auth, await viewer_for(api, ADMIN), bob.user_id, UserEdit(full_name="Bob")
    )
    token = await api.log_in(AUDITOR)
    data = await api.data(OF_USER, {"id": str(bob.user_id)}, token=token)
    (event,) = [n for n in data["user"]["auditEvents"]["nodes"] if n["action"] == "user.edited"]
    assert event["address"] == "192.0.2.7"
