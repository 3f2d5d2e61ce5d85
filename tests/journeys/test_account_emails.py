"""Account flows with emails, through a running server and a real mail server."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.api import Client, codes
from tests.databases import wait_until
from tests.emails import Email, SmtpServer
from tests.processes import Process, forked_server

TO_ALICE = {"email": "alice@example.com"}
PASSWORD = "a good enough password"
NEW = "a completely new one"
CAROL = "carol@example.com"
ALICE = {"username": "alice", "password": "secret123"}


@contextmanager
def server_with_email(folder: Path, **settings: str) -> Iterator[tuple[Process, SmtpServer]]:
    with SmtpServer() as smtp:
        given = {
            "POSTERN_ENVIRONMENT": "development",
            "POSTERN_MAIL_URL": smtp.url,
            "POSTERN_BCRYPT_COST": "4",
            **settings,
        }
        with forked_server(folder, given) as process:
            yield process, smtp


class AccountClient:
    """A client that sends one mutation after the other."""

    def __init__(self, process: Process, smtp: SmtpServer) -> None:
        self._process = process
        self._smtp = smtp
        self.token: str | None = None

    async def run(self, mutation: str, result: str, fields: Mapping[str, Any] | None = None) -> Any:
        kind = mutation[0].upper() + mutation[1:]
        head = f"($input: {kind}Input!)" if fields is not None else ""
        call = f"{mutation}(input: $input)" if fields is not None else mutation
        query = f"mutation M{head} {{ {call} {{ {result} errors {{ code field }} }} }}"
        async with httpx2.AsyncClient(base_url=self._process.base_url) as http:
            data = await Client(http).data(query, {"input": fields}, token=self.token)
        return data[mutation]

    async def log_in(self, username: str, password: str) -> Any:
        fields = {"username": username, "password": password}
        payload = await self.run("login", "tokens { accessToken }", fields)
        if payload["tokens"]:
            self.token = payload["tokens"]["accessToken"]
        return payload

    @property
    def admin_password(self) -> str:
        (line,) = [line for line in self._process.output.splitlines() if "admin / " in line]
        return line.partition("admin / ")[2].split()[0]

    async def wait_for_email(self, recipient: str, words: str = "") -> Email:
        """Waits for an email to the recipient that contains the words, and returns it."""

        def found() -> list[Email]:
            return [email for email in self._smtp.to(recipient) if words in email.text]

        await wait_until(lambda: bool(found()))
        return found()[0]


@contextmanager
def account_client(folder: Path, **settings: str) -> Iterator[AccountClient]:
    with server_with_email(folder, **settings) as (process, smtp):
        yield AccountClient(process, smtp)
        assert "plt_" not in process.output
        assert PASSWORD not in process.output


FORM = {"username": "carol", "email": CAROL, "password": PASSWORD}


async def test_registration_verification_and_deletion(tmp_path: Path) -> None:
    with account_client(tmp_path) as carol:
        await carol.run("register", "user { id }", FORM)
        email = await carol.wait_for_email(CAROL)
        await carol.log_in("carol", PASSWORD)
        proof = {"token": email.token, "password": PASSWORD}
        verified = await carol.run("verifyEmail", "user { emailVerified }", proof)
        assert verified["user"] == {"emailVerified": True}
        again = await carol.run("requestEmailVerification", "emailSentTo")
        assert codes(again) == ["EMAIL_ALREADY_VERIFIED"]
        named = await carol.run("updateProfile", "user { fullName }", {"fullName": "Carol"})
        assert named["user"] == {"fullName": "Carol"}
        exported = await carol.run("exportAccount", "document")
        assert '"Carol"' in exported["document"]
        gone = await carol.run("deleteAccount", "userId", {"password": PASSWORD})
        assert gone["userId"]
        assert await carol.wait_for_email(CAROL, "was deleted")
        assert codes(await carol.log_in("carol", PASSWORD)) == ["INVALID_CREDENTIALS"]


async def test_forgotten_password_is_reset_by_email(tmp_path: Path) -> None:
    with account_client(tmp_path) as alice:
        asked = await alice.run(
            "requestPasswordReset", "emailSentTo", {"email": "alice@example.com"}
        )
        unknown = await alice.run(
            "requestPasswordReset", "emailSentTo", {"email": "unknown@example.com"}
        )
        assert (asked["errors"], unknown["errors"]) == ([], [])
        token = (await alice.wait_for_email("alice@example.com")).token
        fields = {"token": token, "newPassword": NEW}
        assert (await alice.run("resetPassword", "endedSessions", fields))["errors"] == []
        assert codes(await alice.run("resetPassword", "endedSessions", fields)) == ["LINK_INVALID"]
        assert codes(await alice.log_in(**ALICE)) == ["INVALID_CREDENTIALS"]
        assert (await alice.log_in("alice", NEW))["errors"] == []
        assert await alice.wait_for_email("alice@example.com", "was changed")


async def test_email_address_is_changed_by_link(tmp_path: Path) -> None:
    with account_client(tmp_path) as alice:
        await alice.log_in(**ALICE)
        fields = {"newEmail": "new@example.com", "password": "secret123"}
        assert (await alice.run("requestEmailChange", "emailSentTo", fields))["errors"] == []
        token = (await alice.wait_for_email("new@example.com")).token
        proof = {"token": token, "password": "secret123"}
        changed = await alice.run("confirmEmailChange", "user { email emailVerified }", proof)
        assert changed["user"] == {"email": "new@example.com", "emailVerified": True}
        assert (
            "email address of your account"
            in (await alice.wait_for_email("alice@example.com")).text
        )


async def test_password_change_sends_an_email(tmp_path: Path) -> None:
    with account_client(tmp_path) as alice:
        await alice.log_in(**ALICE)
        fields = {"currentPassword": "secret123", "newPassword": NEW}
        assert (await alice.run("changePassword", "endedSessions", fields))["errors"] == []
        assert "was changed" in (await alice.wait_for_email("alice@example.com")).subject


async def test_registration_with_required_verification(tmp_path: Path) -> None:
    with account_client(tmp_path, POSTERN_EMAIL_VERIFICATION="required") as carol:
        new = await carol.run("register", "user { id } emailSentTo", FORM)
        taken = await carol.run(
            "register",
            "user { id } emailSentTo",
            {**FORM, "username": "carol2", "email": "alice@example.com"},
        )
        assert new == {"user": None, "emailSentTo": CAROL, "errors": []}
        assert taken == {"user": None, "emailSentTo": "alice@example.com", "errors": []}
        assert codes(await carol.log_in("carol", PASSWORD)) == ["INVALID_CREDENTIALS"]
        token = (await carol.wait_for_email(CAROL)).token
        alone = await carol.run("verifyEmail", "user { id }", {"token": token})
        assert codes(alone) == ["PASSWORD_REQUIRED"]
        proof = {"token": token, "password": PASSWORD}
        assert (await carol.run("verifyEmail", "user { id }", proof))["errors"] == []
        assert (await carol.log_in("carol", PASSWORD))["errors"] == []
        assert "#token=" not in (await carol.wait_for_email("alice@example.com")).text


async def test_registration_by_invitation(tmp_path: Path) -> None:
    with account_client(tmp_path, POSTERN_REGISTRATION="invitation") as operator:
        assert codes(await operator.run("register", "user { id }", FORM)) == ["INVITATION_REQUIRED"]
        await operator.log_in("admin", operator.admin_password)
        await operator.run("createInvitation", "invitation { id }", {"email": CAROL})
        token = (await operator.wait_for_email(CAROL)).token
        carol = await operator.run(
            "register", "user { emailVerified }", {**FORM, "invitation": token}
        )
        assert carol["user"] == {"emailVerified": True}


async def test_admin_can_require_a_password_reset(tmp_path: Path) -> None:
    with account_client(tmp_path) as operator:
        await operator.log_in("admin", operator.admin_password)
        made = await operator.run(
            "createUser", "user { id }", {"username": "carol", "email": CAROL}
        )
        first = await operator.wait_for_email(CAROL)
        chosen = {"token": first.token, "newPassword": NEW}
        await operator.run("resetPassword", "endedSessions", chosen)
        await operator.run("requirePasswordReset", "user { id }", {"userId": made["user"]["id"]})
        assert codes(await operator.log_in("carol", NEW)) == ["INVALID_CREDENTIALS"]
        token = (await operator.wait_for_email(CAROL, "requires you to choose")).token
        fields = {"token": token, "newPassword": PASSWORD}
        assert (await operator.run("resetPassword", "endedSessions", fields))["errors"] == []
        assert (await operator.log_in("carol", PASSWORD))["errors"] == []


async def test_forged_host_headers_do_not_change_email_links(tmp_path: Path) -> None:
    query = """mutation {
        requestPasswordReset(input: {email: "alice@example.com"}) { emailSentTo }
    }"""
    with server_with_email(tmp_path) as (process, smtp):
        async with httpx2.AsyncClient(base_url=process.base_url) as http:
            for header in ("X-Forwarded-Host", "Forwarded", "Origin"):
                forged = {header: "evil.example"}
                await http.post("/graphql", json={"query": query}, headers=forged)
        await wait_until(lambda: len(smtp.emails) > 0)
    assert all(email.link.startswith(process.base_url) for email in smtp.emails)


@pytest.mark.soak
async def test_unreachable_mail_server_does_not_affect_replies(tmp_path: Path) -> None:
    with server_with_email(tmp_path) as (process, smtp):
        smtp.stop()
        alice = AccountClient(process, smtp)
        asked = await alice.run(
            "requestPasswordReset", "emailSentTo", {"email": "alice@example.com"}
        )
        assert asked["errors"] == []
        await wait_until(lambda: "email.not_delivered" in process.output)
        smtp.start()
        await wait_until(lambda: len(smtp.emails) == 1, within_seconds=30)
