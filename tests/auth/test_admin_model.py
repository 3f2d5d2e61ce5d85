"""Random sequences of admin operations keep the invariants."""

import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import func, select, text

from auth.account_deletion import delete_user
from auth.clients import Client
from auth.errors import AuthError, Forbidden
from auth.invitations import create_invitation, delete_invitation, list_invitations
from auth.list_pages import Page
from auth.password_reset import require_password_reset
from auth.role_edits import RoleForm, create_role, delete_role, update_role
from auth.roles import list_roles
from auth.user_access import disable_user, enable_user, revoke_user_sessions, set_user_roles
from auth.user_creation import NewUserForm, create_user
from auth.user_edits import UserEdit, update_user
from auth.user_list import UserFilter, list_users
from auth.users import find_user
from models.audit_event import AuditEvent
from tests.accounts import OPERATOR
from tests.api import Api, serving
from tests.clock import ManualClock
from tests.conftest import make_settings
from tests.databases import PostgresqlTemplates, SqliteTemplates

# `make soak` runs it longer: POSTERN_ names would be taken for settings.
EXAMPLES = int(os.environ.get("ADMIN_MODEL_EXAMPLES", "6"))

PERMISSIONS = ["users:read", "users:write", "roles:write", "sessions:revoke", "audit:read"]
NAMES = [f"user{number}" for number in range(6)]
ROLES = ["clerk", "keeper", "warden"]
HERE = Client("192.0.2.7", "test")
ANY = st.integers(0, 1000)

ADMINS = """
SELECT count(DISTINCT users.id) FROM users
JOIN user_roles ON user_roles.user_id = users.id JOIN roles ON roles.id = user_roles.role_id
WHERE roles.name = 'admin' AND users.disabled_at IS NULL
"""
ORPHANS = [
    "SELECT count(*) FROM user_roles WHERE user_id NOT IN (SELECT id FROM users)",
    "SELECT count(*) FROM user_roles WHERE role_id NOT IN (SELECT id FROM roles)",
    "SELECT count(*) FROM role_permissions WHERE role_id NOT IN (SELECT id FROM roles)",
    "SELECT count(*) FROM sessions WHERE user_id NOT IN (SELECT id FROM users)",
    "SELECT count(*) FROM links WHERE user_id NOT IN (SELECT id FROM users)",
    "SELECT count(*) FROM invitation_roles WHERE role_id NOT IN (SELECT id FROM roles)",
]


@dataclass(frozen=True)
class UserActor:
    """An actor with the permissions that a user has now."""

    user_id: UUID
    permissions: frozenset[str]
    client: Client = HERE
    session_id: None = None


class AdminModel(RuleBasedStateMachine):
    """All users try all operations. The model is the permission that each operation needs."""

    url: ClassVar[str]
    folder: ClassVar[Path]

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.server = serving(make_settings(self.url, self.folder), ManualClock())
        self.api: Api = self.run(self.server.__aenter__())
        self.auth = self.api.auth

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        self.run(self.server.__aexit__(None, None, None))
        self.loop.close()

    async def users(self) -> list[Any]:
        page = Page(limit=100)
        return (await list_users(self.auth, OPERATOR, page=page, filters=UserFilter())).users

    async def roles(self) -> list[Any]:
        return await list_roles(self.auth, OPERATOR)

    def one_of(self, found: list[Any], which: int) -> Any:
        return found[which % len(found)]

    async def count_events(self) -> int:
        async with self.auth.db.read() as session:
            return await session.scalar(select(func.count()).select_from(AuditEvent)) or 0

    def attempt(
        self,
        who: int,
        needs: str,
        act: Callable[[UserActor], Awaitable[object]],
        *,
        may_change_nothing: bool = False,
    ) -> None:
        """Runs an operation as this user. Checks the permission and the number of audit events."""
        user = self.one_of(self.run(self.users()), who)
        actor = UserActor(user.id, user.permissions)
        before = self.run(self.count_events())
        try:
            self.run(act(actor))
        except Forbidden:
            assert self.run(self.count_events()) == before
        except AuthError:
            assert needs in actor.permissions
            assert self.run(self.count_events()) == before
        else:
            assert needs in actor.permissions
            recorded = self.run(self.count_events()) - before
            assert recorded == 1 or (may_change_nothing and recorded == 0)

    @rule(who=ANY, name=st.sampled_from(NAMES), role=ANY, address=st.booleans())
    def create(self, who: int, name: str, role: int, address: bool) -> None:
        form = NewUserForm(name, f"{name}@example.com" if address else None)
        roles = [self.one_of(self.run(self.roles()), role).id]
        self.attempt(who, "users:write", lambda p: create_user(self.auth, p, form, roles))

    @rule(who=ANY, whom=ANY, name=st.sampled_from(NAMES), stale=st.booleans())
    def edit(self, who: int, whom: int, name: str, stale: bool) -> None:
        user = self.one_of(self.run(self.users()), whom)
        edit = UserEdit(username=name, version=user.version - stale)
        self.attempt(
            who,
            "users:write",
            lambda p: update_user(self.auth, p, user.id, edit),
            may_change_nothing=user.username == name,
        )

    @rule(who=ANY, whom=ANY, act=st.sampled_from([disable_user, enable_user, delete_user]))
    def disable_enable_or_delete(self, who: int, whom: int, act: Any) -> None:
        user = self.one_of(self.run(self.users()), whom)
        unchanged = {disable_user: user.disabled, enable_user: not user.disabled}.get(act, False)
        self.attempt(
            who,
            "users:write",
            lambda p: act(self.auth, p, user.id),
            may_change_nothing=unchanged,
        )

    @rule(who=ANY, whom=ANY)
    def require_a_password(self, who: int, whom: int) -> None:
        user = self.one_of(self.run(self.users()), whom)
        self.attempt(who, "users:write", lambda p: require_password_reset(self.auth, p, user.id))

    @rule(who=ANY, whom=ANY, roles=st.lists(ANY, max_size=2))
    def give_roles(self, who: int, whom: int, roles: list[int]) -> None:
        user = self.one_of(self.run(self.users()), whom)
        there = self.run(self.roles())
        ids = list({self.one_of(there, role).id for role in roles})
        self.attempt(
            who,
            "roles:write",
            lambda p: set_user_roles(self.auth, p, user.id, ids),
            may_change_nothing={*ids} == {role.id for role in user.roles},
        )

    @rule(who=ANY, whom=ANY)
    def end_sessions(self, who: int, whom: int) -> None:
        user = self.one_of(self.run(self.users()), whom)
        self.attempt(
            who,
            "sessions:revoke",
            lambda p: revoke_user_sessions(self.auth, p, user.id),
            may_change_nothing=True,
        )

    @rule(
        who=ANY,
        name=st.sampled_from(ROLES),
        permissions=st.lists(st.sampled_from(PERMISSIONS), unique=True),
    )
    def create_a_role(self, who: int, name: str, permissions: list[str]) -> None:
        form = RoleForm(name, "", permissions)
        self.attempt(who, "roles:write", lambda p: create_role(self.auth, p, form))

    @rule(who=ANY, which=ANY, permissions=st.lists(st.sampled_from(PERMISSIONS), unique=True))
    def edit_a_role(self, who: int, which: int, permissions: list[str]) -> None:
        role = self.one_of(self.run(self.roles()), which)
        form = RoleForm(permissions=permissions)
        self.attempt(
            who,
            "roles:write",
            lambda p: update_role(self.auth, p, role.id, form),
            may_change_nothing={*permissions} == role.permissions,
        )

    @rule(who=ANY, which=ANY)
    def delete_a_role(self, who: int, which: int) -> None:
        role = self.one_of(self.run(self.roles()), which)
        self.attempt(who, "roles:write", lambda p: delete_role(self.auth, p, role.id))

    @rule(who=ANY, name=st.sampled_from(NAMES), role=ANY)
    def invite(self, who: int, name: str, role: int) -> None:
        email, roles = f"{name}@example.com", [self.one_of(self.run(self.roles()), role).id]
        self.attempt(
            who,
            "users:write",
            lambda p: create_invitation(self.auth, p, email=email, role_ids=roles),
        )

    @rule(who=ANY, which=ANY)
    def delete_an_invitation(self, who: int, which: int) -> None:
        found = self.run(list_invitations(self.auth, OPERATOR, Page(limit=100))).invitations
        if found:
            invitation = self.one_of(found, which)
            self.attempt(
                who, "users:write", lambda p: delete_invitation(self.auth, p, invitation.id)
            )

    @rule(seed=ANY)
    def two_at_once(self, seed: int) -> None:
        """Runs two operations concurrently. The invariants hold in any order."""
        chosen = random.Random(seed)
        users = self.run(self.users())
        acts = [
            chosen.choice([disable_user, delete_user])(
                self.auth, OPERATOR, chosen.choice(users).id
            ),
            set_user_roles(self.auth, OPERATOR, chosen.choice(users).id, []),
        ]
        outcomes = self.run(_both(acts))
        assert all(isinstance(o, AuthError) or not isinstance(o, Exception) for o in outcomes)

    @rule(whom=ANY)
    def users_may_read_themselves(self, whom: int) -> None:
        user = self.one_of(self.run(self.users()), whom)
        assert self.run(find_user(self.auth, UserActor(user.id, frozenset()), user.id)) == user

    @invariant()
    def an_active_admin_is_left(self) -> None:
        assert self.run(self.count(ADMINS)) >= 1

    @invariant()
    def no_rows_refer_to_deleted_rows(self) -> None:
        assert [self.run(self.count(query)) for query in ORPHANS] == [0] * len(ORPHANS)

    async def count(self, query: str) -> int:
        async with self.auth.db.read() as session:
            return int(await session.scalar(text(query)) or 0)


async def _both(acts: Sequence[Awaitable[object]]) -> list[object]:
    return await asyncio.gather(*acts, return_exceptions=True)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_random_admin_operations_keep_the_invariants(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if kind == "sqlite":
        templates: SqliteTemplates = request.getfixturevalue("sqlite_templates")
        url = templates.new(tmp_path)
    else:
        postgresql: PostgresqlTemplates = request.getfixturevalue("postgresql_templates")
        url = postgresql.new()
    AdminModel.url, AdminModel.folder = url, tmp_path
    run_state_machine_as_test(
        AdminModel,
        settings=settings(max_examples=EXAMPLES, stateful_step_count=25, deadline=None),
    )
