"""Response times of failed logins, reset requests and registrations: none reveals an account.

python -m benchmarks.account_times [tries]
"""

import asyncio
import itertools
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2

from benchmarks.measure import Work, medians, print_table
from tests.processes import run_command, running_server

TRIES = 50
SETTINGS = {
    "POSTERN_ENVIRONMENT": "development",
    # Otherwise the repeated failures would be throttled.
    "POSTERN_THROTTLE": "off",
    "POSTERN_EMAIL_VERIFICATION": "required",
    "POSTERN_MAIL_URL": "file:mails",
}
NAMES = (f"newcomer{number}" for number in itertools.count())


class MutationSender:
    """Sends mutations that must return the given error codes."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client

    async def __call__(self, mutation: str, fields: Mapping[str, Any], codes: list[str]) -> object:
        kind = mutation[0].upper() + mutation[1:]
        query = f"mutation($i: {kind}Input!) {{ {mutation}(input: $i) {{ errors {{ code }} }} }}"
        body = {"query": query, "variables": {"i": fields}}
        reply = (await self._client.post("/graphql", json=body)).json()
        assert [error["code"] for error in reply["data"][mutation]["errors"]] == codes
        return reply

    def login(self, username: str) -> Work:
        fields = {"username": username, "password": "a wrong password"}
        return lambda: self("login", fields, ["INVALID_CREDENTIALS"])

    def reset(self, email: str) -> Work:
        return lambda: self("requestPasswordReset", {"email": email}, [])

    def register(self, email: str) -> Work:
        form = {"email": email, "password": "of course a good one"}
        return lambda: self("register", {"username": next(NAMES), **form}, [])


async def compare(base_url: str, tries: int) -> None:
    async with httpx2.AsyncClient(base_url=base_url, timeout=30) as client:
        sender = MutationSender(client)
        contenders = {
            "Failed sign-ins": {
                "unknown user": sender.login("unknown"),
                "wrong password": sender.login("alice"),
                "disabled user": sender.login("dora"),
                "user without a password": sender.login("emma"),
            },
            "Requests for a password reset": {
                "unknown address": sender.reset("unknown@example.com"),
                "address of an account": sender.reset("alice@example.com"),
                "address of a disabled account": sender.reset("dora@example.com"),
            },
            "Registrations with email verification": {
                "new address": sender.register("carol@example.com"),
                "address of an account": sender.register("alice@example.com"),
            },
        }
        for title, works in contenders.items():
            results = await medians(works, rounds=tries, warm_up=1)
            print_table(f"{title}, {tries} tries each", results, base=next(iter(works)))


def main() -> None:
    tries = int(sys.argv[1]) if len(sys.argv) > 1 else TRIES
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run_command(folder, "migrate", **SETTINGS)
        with running_server(folder, SETTINGS) as server:
            create = ("user", "create", "--username")
            dora = ("dora", "--email", "dora@example.com", "--password-stdin")
            run_command(folder, *create, *dora, stdin="a right one", **SETTINGS)
            run_command(folder, "user", "disable", "dora", **SETTINGS)
            run_command(folder, *create, "emma", **SETTINGS)
            asyncio.run(compare(server.base_url, tries))


if __name__ == "__main__":
    main()
