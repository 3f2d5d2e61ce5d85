"""A Postern server and the services of `examples/services`, as processes."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
from pydantic import SecretStr

from auth.clock import Clock
from auth.permissions import PermissionRegistry
from auth.tokens.key_material import Key
from server.app import build_auth
from server.settings import Settings
from tests.accounts import BOB, Account
from tests.api import LOGIN
from tests.examples.processes import SERVICES, running, running_uvicorn
from tests.faults.cluster import SECRET
from tests.node import NODE
from tests.processes import Process, run_command

ISSUER = "http://localhost"
COOL_DOWN = 0.5
PYTHON_SERVICE, NODE_SERVICE = "FastAPI and PyJWT", "Node and jose"
# Shared, because creating a client takes longer than a request.
HTTP = httpx2.Client(timeout=20)

CREATE_ROLE = """
mutation CreateRole($input: CreateRoleInput!) { createRole(input: $input) { role { id } } }
"""
SET_ROLES = """
mutation SetRoles($input: SetUserRolesInput!) { setUserRoles(input: $input) { errors { code } } }
"""


@contextmanager
def running_service(kind: str, folder: Path, postern: str) -> Iterator[str]:
    """Runs a service that trusts this Postern server. Yields its URL."""
    settings = {
        "POSTERN_URL": postern,
        "ISSUER": ISSUER,
        "JWKS_COOL_DOWN": str(COOL_DOWN),
        "SERVICE_USERNAME": BOB.username,
        "SERVICE_PASSWORD": BOB.password,
    }
    if kind == PYTHON_SERVICE:
        application = "examples.services.fastapi_service:app"
        with running_uvicorn(folder, application, settings, ready="/health") as url:
            yield url
        return
    assert NODE
    command = [NODE, str(SERVICES / "node_service.mjs")]
    with running(folder, command, settings, ready="/health") as url:
        yield url


def call(
    service: str, token: str | None, path: str = "/whoami", method: str = "GET"
) -> httpx2.Response:
    """Sends a request to a service."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return HTTP.request(method, service + path, headers=headers)


def ask(
    postern: str, query: str, variables: Mapping[str, Any] | None = None, token: str = ""
) -> Any:
    """Runs an operation that must succeed."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    body = {"query": query, "variables": variables}
    result = HTTP.post(f"{postern}/graphql", json=body, headers=headers).json()
    assert "errors" not in result, result
    return result["data"]


def log_in(postern: str, account: Account) -> str:
    """Returns an access token of an account."""
    credentials = {"username": account.username, "password": account.password}
    return str(ask(postern, LOGIN, {"input": credentials})["login"]["tokens"]["accessToken"])


def grant_introspection(postern: str, account: Account, *, admin: str) -> None:
    """Gives an account the role of a service."""
    role = {"name": "service", "permissions": ["tokens:introspect"]}
    made = ask(postern, CREATE_ROLE, {"input": role}, admin)["createRole"]["role"]
    query = "query Find($search: String!) { users(search: $search) { nodes { id } } }"
    found = ask(postern, query, {"search": account.username}, admin)["users"]["nodes"]
    change = {"userId": found[0]["id"], "roleIds": [made["id"]]}
    assert ask(postern, SET_ROLES, {"input": change}, admin)["setUserRoles"]["errors"] == []


def rotate_keys(folder: Path, database_url: str, *options: str) -> None:
    """Runs `postern keys rotate`."""
    done: subprocess.CompletedProcess[str] = run_command(
        folder,
        *("keys", "rotate", *options),
        POSTERN_ENVIRONMENT="development",
        POSTERN_DATABASE_URL=database_url,
        POSTERN_SECRET_KEY=SECRET,
    )
    assert done.returncode == 0, done.stderr


async def signing_key(database_url: str) -> Key:
    """Returns the key that Postern signs with, decrypted with its secret."""
    settings = Settings(database_url=SecretStr(database_url), secret_key=SecretStr(SECRET))
    auth = build_auth(settings, PermissionRegistry(), Clock())
    try:
        return await auth.keys.signing_key()
    finally:
        await auth.stop()


def requests_for_keys(postern: Process) -> int:
    """Returns the number of JWKS requests in the log."""
    return postern.output.count("/.well-known/jwks.json")
