"""Test helpers for applications with Postern in them: `pytest_plugins = ["postern.testing"]`.

    @pytest.fixture
    def postern_app(postern_settings, postern_clock):
        return create_app(postern_settings, clock=postern_clock, queries=[Query])

    def test_notes_need_a_permission(postern_server):
        ada = postern_server.signed_in("ada", permissions=["notes:read"])
        assert ada.execute("{ notes }") == {"data": {"notes": []}}

Needs the extra `postern-auth[testing]`. Everything here is synchronous: the server runs in a thread
of its own, so a test has no event loop to share with it.
"""

import asyncio
import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.testclient import TestClient

from auth.audit import Action
from auth.clients import Client
from auth.clock import Clock
from auth.errors import RoleNotFound
from auth.mail_delivery.delivery import EmailDelivery
from auth.permissions import Console
from auth.records import UserRecord
from auth.role_edits import RoleForm, create_role
from auth.roles import find_roles_by_name
from auth.sessions import start_session
from auth.token_pairs import TokenPair, issue_token_pair
from auth.user_creation import NewUser, add_user
from auth.users import find_user_by_name
from auth.wiring import Auth
from models.database import Database
from models.migrate import upgrade
from server.app import create_app
from server.custom_app import postern_of
from server.settings import Settings

_URL = "https://testserver"


class MovableClock(Clock):
    """A clock that stands still until a test advances it."""

    def __init__(self) -> None:
        self._now = datetime.now(UTC).replace(microsecond=0)

    def now(self) -> datetime:
        """Returns the time of the test."""
        return self._now

    def advance(self, **duration: float) -> None:
        """Moves the time forward: `advance(minutes=31)` expires an access token."""
        self._now += timedelta(**duration)


class Caller:
    """A client of the server, with a session or anonymous."""

    def __init__(self, http: TestClient, tokens: TokenPair | None = None) -> None:
        self._http = http
        self._tokens = tokens

    @property
    def user_id(self) -> UUID:
        """The ID of the user: the `sub` of the access token."""
        return self._signed_in().user.id

    @property
    def access_token(self) -> str:
        """The access token of the session."""
        return self._signed_in().access_token.text

    def execute(
        self,
        query: str,
        variables: Mapping[str, Any] | None = None,
        *,
        path: str = "/graphql",
    ) -> dict[str, Any]:
        """Runs a GraphQL operation. Returns its `data` and `errors`."""
        body = {"query": query, "variables": dict(variables or {})}
        result: dict[str, Any] = self.request("POST", path, json=body).json()
        return result

    def request(self, method: str, path: str, **options: Any) -> Any:
        """Sends an HTTP request with the access token. Returns the response of the test client."""
        headers = dict(options.pop("headers", None) or {})
        if self._tokens is not None:
            headers.setdefault("Authorization", f"Bearer {self.access_token}")
        return self._http.request(method, path, headers=headers, **options)

    def _signed_in(self) -> TokenPair:
        assert self._tokens is not None, "this caller has not signed in"
        return self._tokens


class PosternServer:
    """A running application, its clock and its emails."""

    def __init__(self, http: TestClient, app: FastAPI, clock: MovableClock, emails: Path) -> None:
        self.app = app
        self.clock = clock
        self.anonymous = Caller(http)
        self._http = http
        self._emails = emails
        state = postern_of(app).state
        self._auth: Auth = state.auth
        self._delivery: EmailDelivery = state.mail_delivery

    def signed_in(
        self, username: str, *, permissions: Sequence[str] = (), roles: Sequence[str] = ()
    ) -> Caller:
        """Starts a session of this user, and creates the user first if there is none.

        The user has these roles, and one more with these permissions. Raises ValueError for an
        unknown role, and for the roles of a user that exists already.
        """
        return Caller(self._http, self._run(self._sign_in, username, permissions, roles))

    def emails(self) -> list[EmailMessage]:
        """Returns all emails so far, the oldest first. Sends those that wait."""
        self._run(self._send_emails)
        parser = BytesParser(policy=policy.default)
        files = sorted(self._emails.glob("*.eml"))
        return [parser.parsebytes(path.read_bytes()) for path in files]

    def _run(self, function: Any, *arguments: Any) -> Any:
        assert self._http.portal is not None
        return self._http.portal.call(function, *arguments)

    async def _send_emails(self) -> None:
        await self._auth.background.finish()
        while await self._delivery.deliver_due():
            pass

    async def _sign_in(
        self, username: str, permissions: Sequence[str], roles: Sequence[str]
    ) -> TokenPair:
        user = await find_user_by_name(self._auth, username)
        if user is None:
            user = await self._add_user(username, permissions, roles)
        elif permissions or roles:
            raise ValueError(f"{username} exists already; name permissions and roles at first")
        now = self._auth.clock.now()
        async with self._auth.db.begin() as tx:
            client = Client(address="127.0.0.1", user_agent="postern.testing")
            session = start_session(tx, self._auth.session_policy, user.id, client, now)
        return await issue_token_pair(self._auth, user, session, now)

    async def _add_user(
        self, username: str, permissions: Sequence[str], roles: Sequence[str]
    ) -> UserRecord:
        console = Console(self._auth.permissions)
        try:
            found = await find_roles_by_name(self._auth, roles)
        except RoleNotFound:
            raise ValueError(f"not all of these roles exist: {', '.join(roles)}") from None
        role_ids = {role.name: role.id for role in found}
        if permissions:
            name = f"test-{uuid4().hex}"
            form = RoleForm(name, "The permissions of a test.", sorted(permissions))
            role_ids[name] = (await create_role(self._auth, console, form)).id
        new = NewUser(username, f"{username}@example.com", None, None, email_verified=True)
        return await add_user(
            self._auth, new, list(role_ids.values()), Action.USER_CREATED, console
        )


@pytest.fixture(scope="session")
def _migrated_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file. Each test gets a copy, which takes less than a millisecond."""
    path = tmp_path_factory.mktemp("postern") / "postern.db"

    async def migrate() -> None:
        db = Database.connect(f"sqlite:///{path}")
        try:
            await upgrade(db)
        finally:
            await db.close()

    asyncio.run(migrate())
    return path


@pytest.fixture
def postern_settings(tmp_path: Path, _migrated_database: Path) -> Settings:
    """The settings of production, with a SQLite file and emails in `tmp_path`.

    Ten rounds of bcrypt are the least that production accepts; `signed_in` hashes nothing.
    """
    database = shutil.copy(_migrated_database, tmp_path / "postern.db")
    return Settings(
        secret_key=SecretStr("a-secret-of-tests-that-protects-nothing"),
        public_url=_URL,
        database_url=SecretStr(f"sqlite:///{database}"),
        mail_url=SecretStr(f"file:{tmp_path}/emails"),
        bcrypt_cost=10,
    )


@pytest.fixture
def postern_clock() -> MovableClock:
    """The clock of the server."""
    return MovableClock()


@pytest.fixture
def postern_app(postern_settings: Settings, postern_clock: MovableClock) -> FastAPI:
    """The application under test. Override this fixture with your own."""
    return create_app(postern_settings, clock=postern_clock)


@pytest.fixture
def postern_server(
    postern_app: FastAPI, postern_clock: MovableClock, tmp_path: Path
) -> Iterator[PosternServer]:
    """The application, started."""
    with TestClient(postern_app, base_url=_URL) as http:
        yield PosternServer(http, postern_app, postern_clock, tmp_path / "emails")
