"""The contents of the database do not allow to sign in."""

import base64
import json
from typing import Any

from sqlalchemy import MetaData, text

from models.database import Database
from tests.accounts import ADMIN, ALICE, ALL_ACCOUNTS
from tests.api import Api, codes
from tests.emails import Mailbox
from tests.sessions import Device


async def dump(db: Database) -> list[str]:
    """Returns every value of every table, as text."""
    async with db.read() as session:
        connection = await session.connection()
        tables = await connection.run_sync(_tables)
        values = []
        for table in tables:
            for row in await session.execute(text(f"SELECT * FROM {table}")):
                values += [_as_text(value) for value in row if value is not None]
        return values


def _tables(connection: Any) -> list[str]:
    metadata = MetaData()
    metadata.reflect(connection)
    return list(metadata.tables)


def _as_text(value: object) -> str:
    if isinstance(value, bytes):
        return base64.urlsafe_b64encode(value).decode()
    return json.dumps(value) if isinstance(value, dict) else str(value)


async def test_database_dump_contains_no_tokens_and_passwords(api: Api) -> None:
    device = await Device(api).log_in(ALICE)
    await device.refresh()
    everything = "\n".join(await dump(api.auth.db))
    assert "alice" in everything
    for secret in (
        device.access_token,
        device.access_token.rpartition(".")[2],
        device.refresh_token,
        device.refresh_token[-40:],
        *device.used_tokens,
        *(account.password for account in ALL_ACCOUNTS),
    ):
        assert secret not in everything


async def test_values_of_a_database_dump_are_not_valid_tokens(api: Api) -> None:
    await Device(api).log_in(ADMIN)
    device = await Device(api).log_in(ALICE)
    for value in set(await dump(api.auth.db)):
        for guess in (value, f"prt_{value}"):
            payload = await device.try_refresh(guess)
            assert codes(payload) == ["INVALID_REFRESH_TOKEN"]
            result = await api.ask("{ me { id } }", token=guess.replace("\n", " ") or "x")
            assert result["data"]["me"] is None
    assert await device.is_signed_in()


async def test_database_dump_does_not_allow_to_create_links(
    api: Api, admin: str, mailbox: Mailbox
) -> None:
    await api.data(REQUEST_RESET, {"email": ALICE.email})
    await api.data(INVITE, {"email": "carol@example.com"}, token=admin)
    waiting = await dump(api.auth.db)
    await api.send_emails()
    tokens = [mailbox.last(to).token for to in (ALICE.email, "carol@example.com")]
    everything = set(waiting) | set(await dump(api.auth.db))
    for token in tokens:
        assert not any(token in value or token[-40:] in value for value in everything)
    for value in everything:
        for guess in (value, f"plt_{value}"):
            payload = await api.data(RESET, {"token": guess.replace("\0", "")})
            assert codes(payload["resetPassword"]) == ["LINK_INVALID"]


REQUEST_RESET = (
    "mutation($email: String!) { requestPasswordReset(input: {email: $email}) { emailSentTo } }"
)
INVITE = """mutation($email: String!) {
    createInvitation(input: {email: $email}) { invitation { id } } }"""
RESET = """mutation($token: String!) {
    resetPassword(input: {token: $token, newPassword: "a new password"}) { errors { code } } }"""
