"""Asks Postern whether a token is still active (RFC 7662).

Use it for operations that must not run after a session has ended. The service has its own account,
with a role that grants only `tokens:introspect`.
"""

import asyncio

import httpx2


class IntrospectionUnavailable(Exception):
    """Postern is unavailable, or refuses the account of this service."""


class Introspection:
    """Calls `/introspect` with the account of this service."""

    def __init__(self, url: str, *, username: str, password: str) -> None:
        self._http = httpx2.AsyncClient(base_url=url, timeout=2.0)
        self._account = {"grant_type": "password", "username": username, "password": password}
        self._own_token = ""
        self._one_at_a_time = asyncio.Lock()

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def is_active(self, token: str) -> bool:
        """Returns whether the token is active. Raises IntrospectionUnavailable."""
        try:
            if not self._own_token:
                await self._log_in(instead_of="")
            own = self._own_token
            reply = await self._ask(token)
            if reply.status_code == 401:
                # The token of this service has expired. Parallel requests sign in once.
                await self._log_in(instead_of=own)
                reply = await self._ask(token)
            return reply.raise_for_status().json()["active"] is True
        except (httpx2.HTTPError, ValueError, LookupError, TypeError) as error:
            raise IntrospectionUnavailable from error

    async def _ask(self, token: str) -> httpx2.Response:
        bearer = {"Authorization": f"Bearer {self._own_token}"}
        return await self._http.post("/introspect", data={"token": token}, headers=bearer)

    async def _log_in(self, *, instead_of: str) -> None:
        async with self._one_at_a_time:
            if self._own_token == instead_of:
                reply = await self._http.post("/token", data=self._account)
                self._own_token = reply.raise_for_status().json()["access_token"]
