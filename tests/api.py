"""A server in the test process, and a GraphQL client for it."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx2
from fastapi import FastAPI
from fastapi.dependencies import models
from structlog.testing import capture_logs

from auth.mail_delivery.delivery import EmailDelivery
from auth.wiring import Auth
from models.database import Database
from server.app import create_app
from server.settings import Settings
from tests.accounts import Account
from tests.clock import ManualClock
from tests.sockets import PROTOCOL, Socket

# FastAPI caches functions of each server. The entries would keep hundreds of servers in memory.
_FASTAPI_CACHES = [value for value in vars(models).values() if hasattr(value, "cache_clear")]

BASE_URL = "http://localhost:8000"
UNREACHABLE_DATABASE = "postgresql://postgres@127.0.0.1:1/none"

LOGIN = """
mutation LogIn($input: LoginInput!) {
  login(input: $input) {
    tokens { accessToken tokenType expiresIn }
    user { id username }
    errors { code message field retryAfter }
  }
}
"""


class Client:
    """A GraphQL client of a server in this or another process."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self.http = client

    async def post(
        self,
        query: str,
        variables: Mapping[str, Any] | None = None,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx2.Response:
        """Sends an operation and returns the HTTP reply."""
        bearer = {} if token is None else {"Authorization": f"Bearer {token}"}
        return await self.http.post(
            "/graphql",
            json={"query": query, "variables": variables},
            headers={**bearer, **(headers or {})},
        )

    async def ask(
        self,
        query: str,
        variables: Mapping[str, Any] | None = None,
        *,
        token: str | None = None,
    ) -> Any:
        """Sends an operation and returns the result with `data` and `errors`."""
        return (await self.post(query, variables, token=token)).json()

    async def data(
        self,
        query: str,
        variables: Mapping[str, Any] | None = None,
        *,
        token: str | None = None,
    ) -> Any:
        """Sends an operation that must succeed and returns its data."""
        result = await self.ask(query, variables, token=token)
        assert "errors" not in result, result["errors"]
        return result["data"]

    async def try_login(self, username: str, password: str, *, token: str | None = None) -> Any:
        """Signs in and returns the payload."""
        variables = {"input": {"username": username, "password": password}}
        return (await self.data(LOGIN, variables, token=token))["login"]

    async def log_in(self, account: Account) -> str:
        """Signs in and returns the access token."""
        payload = await self.try_login(account.username, account.password)
        assert payload["errors"] == []
        return str(payload["tokens"]["accessToken"])

    async def id_of(self, account: Account, *, admin: str) -> str:
        """Returns the user ID of an account."""
        data = await self.data(
            "query Find($search: String!) { users(search: $search) { nodes { id } } }",
            {"search": account.username},
            token=admin,
        )
        return str(data["users"]["nodes"][0]["id"])


class Api(Client):
    """A client of a server in this process, with access to its parts."""

    def __init__(self, client: httpx2.AsyncClient, app: FastAPI) -> None:
        super().__init__(client)
        self.app = app
        self.auth: Auth = app.state.auth
        self.delivery: EmailDelivery = app.state.mail_delivery

    async def send_emails(self) -> None:
        """Sends the emails that are due, as the background job of a server does."""
        await self.auth.background.finish()
        while await self.delivery.deliver_due():
            pass

    @contextmanager
    def without_database(self) -> Iterator[None]:
        """Makes the database unreachable while the block runs."""
        reachable = self.auth.db
        object.__setattr__(self.auth, "db", Database.connect(UNREACHABLE_DATABASE))
        try:
            yield
        finally:
            object.__setattr__(self.auth, "db", reachable)

    def limit_sockets(self, **changes: Any) -> None:
        """Changes the policy of sockets that are opened after this call."""
        route = next(r for r in self.app.routes if type(r).__name__ == "WebSocketRoute")
        policy = route.endpoint._policy  # type: ignore[attr-defined]
        for name, value in changes.items():
            object.__setattr__(policy, name, value)

    async def catch_up_with_changes(self) -> None:
        """Waits until this process has received the changes that other processes committed."""
        await self.auth.db.change_feed.catch_up()

    @asynccontextmanager
    async def socket(
        self,
        *,
        origin: str | None = None,
        host: str = "localhost",
        protocol: str = PROTOCOL,
        headers: Mapping[str, str] | None = None,
        query_string: bytes = b"",
        address: str = "192.0.2.7",
        path: str = "/graphql",
    ) -> AsyncIterator[Socket]:
        """Opens a WebSocket. The first event in its outbox is the reply to the handshake."""
        socket = Socket()
        fields = {"host": host, **({"origin": origin} if origin else {}), **(headers or {})}
        scope = {
            "type": "websocket",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query_string,
            "headers": [(name.encode(), value.encode()) for name, value in fields.items()],
            "subprotocols": [protocol],
            "client": (address, 50000),
        }
        await socket.inbox.put({"type": "websocket.connect"})
        serving = asyncio.create_task(self.app(scope, socket.inbox.get, socket.accept_event))
        serving.add_done_callback(lambda _: socket.served.set())
        yield socket
        await socket.inbox.put({"type": "websocket.disconnect", "code": 1001})
        async with asyncio.timeout(10):
            await serving

    @asynccontextmanager
    async def accepted_socket(self, **how: Any) -> AsyncIterator[Socket]:
        """Opens a WebSocket and completes the handshake."""
        async with self.socket(**how) as socket:
            assert (await socket.outbox.get())["type"] == "websocket.accept"
            yield socket


def codes(payload: Mapping[str, Any]) -> list[str]:
    """Returns the codes in `errors` of a payload."""
    return [error["code"] for error in payload["errors"]]


def denials(result: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Returns the extensions of the errors of a result."""
    return [error["extensions"] for error in result.get("errors", [])]


@contextmanager
def logged_outages() -> Iterator[list[str]]:
    """Has the causes of the outages that are logged in the block, when it has ended."""
    causes: list[str] = []
    with capture_logs() as logs:
        yield causes
    causes += [entry["cause"] for entry in logs if entry["event"] == "database.unavailable"]


@asynccontextmanager
async def serving(
    settings: Settings, clock: ManualClock, *, with_jobs: bool = False, **own_code: Any
) -> AsyncIterator[Api]:
    """Starts a server in this process, and stops it.

    Without `with_jobs` the background jobs do not run: emails wait in the outbox until the test
    calls `send_emails`, and only the test cleans up.
    """
    app = create_app(settings, clock=clock, **own_code)
    if not with_jobs:
        app.state.jobs.clear()
    transport = httpx2.ASGITransport(app=app, client=("192.0.2.7", 50000))
    try:
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=transport, base_url=BASE_URL) as client,
        ):
            yield Api(client, app)
    finally:
        for cache in _FASTAPI_CACHES:
            cache.cache_clear()
