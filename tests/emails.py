"""Emails that a test server sent, to a folder or to an SMTP server."""

import asyncio
import re
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope

from tests.processes import free_port

_LINK = re.compile(r"https?://\S+#token=(\S+)")


@dataclass(frozen=True, slots=True)
class Email:
    """An email that was received."""

    message: EmailMessage

    @classmethod
    def read(cls, content: bytes) -> "Email":
        """Parses an email."""
        message = message_from_bytes(content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        return cls(message)

    @property
    def recipient(self) -> str:
        return str(self.message["To"])

    @property
    def subject(self) -> str:
        return str(self.message["Subject"])

    @property
    def text(self) -> str:
        return self._part("plain")

    @property
    def html(self) -> str:
        return self._part("html")

    @property
    def link(self) -> str:
        found = _LINK.search(self.text)
        assert found, self.text
        return found.group(0)

    @property
    def token(self) -> str:
        return self.link.partition("#token=")[2]

    def _part(self, kind: str) -> str:
        part = self.message.get_body((kind,))
        assert isinstance(part, EmailMessage)
        return str(part.get_content())


class Mailbox:
    """The emails that were written to a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def emails(self, to: str | None = None) -> list[Email]:
        """Returns the emails, oldest first, or those to one recipient."""
        files = sorted(self._folder.glob("*.eml"))
        emails = [Email.read(file.read_bytes()) for file in files]
        return [email for email in emails if to is None or email.recipient == to]

    def last(self, to: str | None = None) -> Email:
        """Returns the newest email, or the newest to one recipient."""
        return self.emails(to)[-1]


class ClosingController(Controller):
    """An SMTP server in a thread that waits for open connections when it stops."""

    def stop(self, no_assert: bool = False) -> None:
        asyncio.run_coroutine_threadsafe(_wait_for_connections(), self.loop).result()
        super().stop(no_assert)


async def _wait_for_connections() -> None:
    # A socket that is open when its event loop ends causes a ResourceWarning in a later test.
    if others := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(others, timeout=1)
    await asyncio.sleep(0.05)


class SmtpServer:
    """An SMTP server that can refuse emails, hang, stop and start."""

    def __init__(self) -> None:
        self.emails: list[Email] = []
        self.refusal: str | None = None
        self.refused_recipients: set[str] = set()
        self.hangs = False
        self.seen = 0
        self._port = free_port()
        self._controller: Controller | None = None

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        self._controller = ClosingController(self, hostname="127.0.0.1", port=self._port)
        self._controller.start()

    def stop(self) -> None:
        if self._controller:
            self._controller.stop()
            self._controller = None

    def to(self, recipient: str) -> list[Email]:
        """Returns the emails that were accepted for a recipient."""
        return [email for email in self.emails if email.recipient == recipient]

    async def handle_RCPT(  # noqa: N802 - aiosmtpd calls it by this name
        self, _server: Any, _session: Any, envelope: Envelope, address: str, _options: Any
    ) -> str:
        if address in self.refused_recipients:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - the same
        self, _server: Any, _session: Any, envelope: Envelope
    ) -> str:
        self.seen += 1
        while self.hangs:  # noqa: ASYNC110 - a test changes it from another thread
            await asyncio.sleep(0.02)
        if self.refusal:
            return self.refusal
        assert isinstance(envelope.content, bytes)
        self.emails.append(Email.read(envelope.content))
        return "250 taken"
