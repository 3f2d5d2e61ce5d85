"""Logins that fail: nobody can tell by the clock who has an account.

python -m benchmarks.login_times [tries]
"""

import asyncio
import sys
import tempfile
from pathlib import Path

import httpx2

from benchmarks.measure import Work, medians, print_table
from tests.api import LOGIN
from tests.processes import run_command, running_server

TRIES = 50
# Fifty failures in a row would wait, and nothing would be measured.
DEVELOPMENT = {"POSTERN_ENVIRONMENT": "development", "POSTERN_THROTTLE": "off"}


def failing_login(client: httpx2.AsyncClient, username: str) -> Work:
    variables = {"input": {"username": username, "password": "a wrong password"}}

    async def work() -> object:
        reply = await client.post("/graphql", json={"query": LOGIN, "variables": variables})
        errors = reply.json()["data"]["login"]["errors"]
        assert [error["code"] for error in errors] == ["INVALID_CREDENTIALS"]
        return errors

    return work


async def compare(base_url: str, tries: int) -> dict[str, float]:
    async with httpx2.AsyncClient(base_url=base_url, timeout=30) as client:
        contenders = {
            "unknown user": failing_login(client, "nobody"),
            "wrong password": failing_login(client, "alice"),
            "disabled user": failing_login(client, "dora"),
            "no password yet": failing_login(client, "emma"),
        }
        return await medians(contenders, rounds=tries, warm_up=1)


def main() -> None:
    tries = int(sys.argv[1]) if len(sys.argv) > 1 else TRIES
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run_command(folder, "migrate", **DEVELOPMENT)
        with running_server(folder, DEVELOPMENT) as server:
            create = ("user", "create", "--username")
            run_command(
                folder, *create, "dora", "--password-stdin", stdin="a right one", **DEVELOPMENT
            )
            run_command(folder, "user", "disable", "dora", **DEVELOPMENT)
            run_command(folder, *create, "emma", **DEVELOPMENT)
            found = asyncio.run(compare(server.base_url, tries))
    print_table(f"Failing logins, bcrypt cost 12, {tries} tries each", found, base="unknown user")


if __name__ == "__main__":
    main()
