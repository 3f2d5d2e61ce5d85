"""kill -9 at any time: acknowledged changes are kept, others can be repeated."""

import asyncio
import itertools
import os
import random
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest

from tests.accounts import ALICE, BOB, Account
from tests.api import Client, codes
from tests.databases import wait_until
from tests.emails import Mailbox
from tests.faults.cluster import clients, one_of_cluster
from tests.sessions import Device

# `make soak` sets KILLS. A name with POSTERN_ would be an unknown setting.
KILLS = int(os.environ.get("KILLS", "3"))

ASK = 'mutation { requestPasswordReset(input: {email: "bob@example.com"}) { errors { code } } }'
RESET = """mutation($input: ResetPasswordInput!) {
    resetPassword(input: $input) { errors { code } } }"""
REGISTER = """mutation($input: RegisterInput!) { register(input: $input) { errors { code } } }"""


class Ledger:
    """The expected state: tokens, password, and the usernames that were registered."""

    def __init__(self) -> None:
        self.device: Device | None = None
        self.passwords = [ALICE.password]
        self.tried: list[str] = []
        self._numbers = itertools.count()

    async def act(self, client: Client) -> None:
        """Sends requests until the server dies."""
        device = self.device or Device(client)
        device.api = client
        while True:
            if self.device is None:
                self.device = await device.log_in(Account("alice", self.passwords[-1], "user"))
            await device.refresh()
            self.passwords.append(f"a phrase of mine, number {next(self._numbers)}")
            payload = await device.change_password(self.passwords[-2], self.passwords[-1])
            assert payload["errors"] == []
            self.passwords = self.passwords[-1:]
            self.tried.append(f"carol{len(self.tried)}")
            assert await self._register(client, self.tried[-1]) == []

    async def check(self, client: Client) -> None:
        """Checks that nothing is lost and that there are no partial writes."""
        if self.device is not None:
            self.device.api = client
            # Either token may be current. If the reply was lost, the old token returns it again.
            await self.device.refresh()
            assert await self.device.is_signed_in()
        work = [p for p in self.passwords if not codes(await client.try_login("alice", p))]
        assert len(work) == 1
        self.passwords = work
        for name in self.tried[:-1]:
            assert await self._register(client, name) == ["USERNAME_TAKEN", "EMAIL_TAKEN"]
        for name in self.tried[-1:]:
            assert await self._register(client, name) in ([], ["USERNAME_TAKEN", "EMAIL_TAKEN"])

    async def _register(self, client: Client, name: str) -> list[str]:
        form = {"username": name, "email": f"{name}@example.com", "password": "quite a good one"}
        return codes((await client.data(REGISTER, {"input": form}))["register"])


@pytest.mark.soak
async def test_kill_loses_nothing_and_leaves_no_partial_writes(
    database_url: str, tmp_path: Path
) -> None:
    ledger = Ledger()
    # Each check registers every name again. After fifty of them the network would be throttled.
    settings = {"POSTERN_REFRESH_GRACE": "60", "POSTERN_THROTTLE": "off"}
    for _ in range(KILLS):
        with one_of_cluster(tmp_path, database_url, **settings) as server:
            async with clients([server]) as (client,):
                await ledger.check(client)
                acting = asyncio.create_task(ledger.act(client))
                await asyncio.sleep(random.uniform(0.01, 0.6))
                server.process.kill()
                with pytest.raises((httpx2.TransportError, AssertionError)) as died:
                    await acting
                assert isinstance(died.value, httpx2.TransportError)
    with one_of_cluster(tmp_path, database_url, **settings) as server:
        async with clients([server]) as (client,):
            await ledger.check(client)


@pytest.mark.soak
async def test_killed_password_reset_is_complete_or_has_no_effect(
    database_url: str, tmp_path: Path
) -> None:
    settings = {"POSTERN_THROTTLE": "off", "POSTERN_MAIL_URL": f"file:{tmp_path}/mails"}
    mailbox, passwords, token = Mailbox(tmp_path / "mails"), [BOB.password], ""
    for number in range(KILLS + 1):
        with one_of_cluster(tmp_path, database_url, **settings) as server:
            async with clients([server]) as (client,):
                work = [p for p in passwords if not codes(await client.try_login("bob", p))]
                assert len(work) == 1
                if work == passwords[:1] and len(passwords) == 2:
                    # The reset was not committed, so the link is still valid.
                    assert await reset(client, token, passwords[1]) == []
                    work = passwords[1:]
                await client.data(ASK)
                token = await next_token(mailbox, number)
                passwords = [*work, f"a phrase of mine, number {number}"]
                resetting = asyncio.create_task(reset(client, token, passwords[1]))
                await asyncio.sleep(random.uniform(0, 0.05))
                server.process.kill()
                with suppress(httpx2.TransportError):
                    assert await resetting == []
                    # An acknowledged reset must be committed.
                    passwords = passwords[1:]


async def reset(client: Client, token: str, new: str) -> list[str]:
    fields = {"token": token, "newPassword": new}
    return codes((await client.data(RESET, {"input": fields}))["resetPassword"])


async def next_token(mailbox: Mailbox, before: int) -> str:
    """Waits for a new email to bob and returns the token of its link."""

    def tokens() -> list[str]:
        return [
            email.token for email in mailbox.emails(BOB.email) if "Choose a new" in email.subject
        ]

    await wait_until(lambda: len(tokens()) > before)
    return tokens()[-1]
