"""Asks Postern whether a token still works at this moment (RFC 7662).

For the few acts that must not happen after a session has ended. The service has an account of its
own, with a role that permits `tokens:introspect` and nothing else.
"""

import asyncio

import httpx2


class IntrospectionUnavailable(Exception):
    """Postern cannot be asked, or does not let this service ask: nobody knows."""


class Introspection:
    """Postern's `/introspect`, with the account of this service."""

    def __init__(self, url: str, *, username: str, password: str) -> None:
        self._http = httpx2.AsyncClient(base_url=url, timeout=2.0)
        self._account = {"grant_type": "password", "username": username, "password": password}
        self._own_token = ""
        self._one_at_a_time = asyncio.Lock()

    async def close(self) -> None:
        """Closes its connections."""
        await self._http.aclose()

    async def is_active(self, token: str) -> bool:
        """Whether the token works now. Raises IntrospectionUnavailable."""
        try:
            if not self._own_token:
                await self._log_in(instead_of="")
            own = self._own_token
            reply = await self._ask(token)
            if reply.status_code == 401:
                # Its own token has expired; many who notice at once log in once.
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
