"""Another device of a user, outside of the browser."""

from typing import Any

import httpx2

from tests.accounts import ALICE, Account
from tests.processes import Process

LOGIN = """mutation($input: LoginInput!) {
  login(input: $input) { tokens { accessToken refreshToken } }
}"""
REFRESH = """mutation($input: RefreshTokensInput!) {
  refreshTokens(input: $input) { tokens { accessToken refreshToken } }
}"""
ENDED = "{ me { sessions(ended: true, first: 100) { nodes { id endReason } } } }"
EVERYWHERE = "mutation { logoutEverywhere { endedSessions } }"


class OtherDevice:
    """A device with its own session."""

    def __init__(self, server: Process, account: Account = ALICE) -> None:
        self._url = f"{server.base_url}/graphql"
        typed = {"username": account.username, "password": account.password}
        self._tokens = self._post(LOGIN, {"input": typed})["login"]["tokens"]

    def ask(self, query: str, **variables: Any) -> Any:
        """Runs an operation with a new token."""
        spent = {"input": {"refreshToken": self._tokens["refreshToken"]}}
        self._tokens = self._post(REFRESH, spent)["refreshTokens"]["tokens"]
        return self._post(query, variables, self._tokens["accessToken"])

    def end_reason(self, session_id: str) -> str | None:
        """Returns why a session has ended; None if it is active."""
        sessions = self.ask(ENDED)["me"]["sessions"]["nodes"]
        return {session["id"]: session["endReason"] for session in sessions}.get(session_id)

    def _post(self, query: str, variables: Any, token: str = "") -> Any:
        body = {"query": query, "variables": variables}
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx2.post(self._url, json=body, headers=headers).json()["data"]
