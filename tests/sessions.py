"""A signed-in device, for tests of the token life cycle."""

from dataclasses import dataclass, field
from typing import Any

import httpx2

from tests.accounts import ALICE, Account
from tests.api import Client

LOGIN = """
mutation LogIn($input: LoginInput!) {
  login(input: $input) { tokens { accessToken refreshToken } errors { code } }
}
"""

REFRESH = """
mutation Refresh($input: RefreshTokensInput!) {
  refreshTokens(input: $input) {
    tokens { accessToken refreshToken expiresIn }
    user { username }
    errors { code message field }
  }
}
"""

CHANGE_PASSWORD = """
mutation ChangePassword($input: ChangePasswordInput!) {
  changePassword(input: $input) { user { username } endedSessions errors { code field } }
}
"""


@dataclass
class Device:
    """A client that keeps its newest tokens and a list of the refresh tokens that it used."""

    api: Client
    access_token: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    used_tokens: list[str] = field(default_factory=list, repr=False)

    async def log_in(self, account: Account = ALICE) -> "Device":
        """Signs in and keeps the tokens."""
        variables = {"input": {"username": account.username, "password": account.password}}
        payload = (await self.api.data(LOGIN, variables))["login"]
        assert payload["errors"] == []
        self.keep(payload["tokens"])
        return self

    async def refresh(self) -> None:
        """Refreshes and keeps the new tokens."""
        payload = await self.try_refresh(self.refresh_token)
        assert payload["errors"] == []
        self.used_tokens.append(self.refresh_token)
        self.keep(payload["tokens"])

    async def request_refresh(self, *, key: str | None = None) -> httpx2.Response:
        """Sends a refresh with the newest token and returns the HTTP reply."""
        return await self._send_refresh(self.refresh_token, key)

    async def try_refresh(self, refresh_token: str, *, key: str | None = None) -> Any:
        """Sends a refresh, with an idempotency key if given, and returns the payload."""
        result = (await self._send_refresh(refresh_token, key)).json()
        assert "errors" not in result, result["errors"]
        return result["data"]["refreshTokens"]

    async def _send_refresh(self, refresh_token: str, key: str | None) -> httpx2.Response:
        headers = {} if key is None else {"Idempotency-Key": key}
        return await self.api.post(
            REFRESH, {"input": {"refreshToken": refresh_token}}, headers=headers
        )

    async def change_password(self, current: str, new: str) -> Any:
        """Changes the password of the account and returns the payload."""
        variables = {"input": {"currentPassword": current, "newPassword": new}}
        data = await self.api.data(CHANGE_PASSWORD, variables, token=self.access_token)
        return data["changePassword"]

    async def is_signed_in(self) -> bool:
        """Returns whether the access token is valid."""
        result = await self.api.ask("{ me { id } }", token=self.access_token)
        return result["data"]["me"] is not None

    def keep(self, tokens: Any) -> None:
        """Replaces the tokens with newer ones."""
        self.access_token = tokens["accessToken"]
        self.refresh_token = tokens["refreshToken"]
