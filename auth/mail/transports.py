"""Transports for email: SMTP, and for development the terminal or a folder."""

import os
import ssl
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import parseaddr
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib
from aiosmtplib import SMTPException, SMTPResponseException

# RFC 5321, section 4.5.3.2: a server may take ten minutes to confirm that it has the email. A
# client that retries earlier causes a duplicate. Other commands are answered quickly.
COMMAND_TIMEOUT_SECONDS = 20
DATA_TIMEOUT_SECONDS = 600
# All commands of one email and the final confirmation.
LONGEST_SECONDS = 8 * COMMAND_TIMEOUT_SECONDS + DATA_TIMEOUT_SECONDS

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_HOW_TO = (
    "must look like smtp://user:password@host:587 (STARTTLS), smtps://user:password@host:465,"
    " file:folder or console:"
)


class UnsupportedMailUrl(ValueError):
    """The URL does not name a supported transport."""


class NotDelivered(Exception):
    """The email was not delivered. The message says why, without addresses or contents."""


class Transport(Protocol):
    """Sends emails."""

    async def send(self, message: EmailMessage) -> None:
        """Returns when the email was accepted for delivery. Raises NotDelivered."""


class ConsoleTransport:
    """Prints emails to the terminal, for development."""

    async def send(self, message: EmailMessage) -> None:
        """Prints the text part of the email."""
        body = message.get_body(("plain",))
        text = body.get_content() if body else ""
        sys.stdout.write(f"\n--- email to {message['To']}: {message['Subject']}\n{text}---\n")
        sys.stdout.flush()


class FolderTransport:
    """Writes each email to a file in a folder, for tests and development."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def send(self, message: EmailMessage) -> None:
        """Writes the file atomically."""
        name = message["Message-ID"].strip("<>").partition("@")[0]
        temporary = self._folder / f".{name}"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Readable by the owner only, since the links in it give access to accounts.
            descriptor = os.open(temporary, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(message.as_bytes())
            temporary.rename(self._folder / f"{name}.eml")
        except OSError as error:
            raise NotDelivered(error.strerror or type(error).__name__) from None


@dataclass(frozen=True, slots=True)
class SmtpTransport:
    """Sends emails to an SMTP server, over TLS unless the server is on this machine."""

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    implicit_tls: bool = False
    # None: if the server offers it.
    start_tls: bool | None = True
    context: ssl.SSLContext | None = None

    async def send(self, message: EmailMessage) -> None:
        """Returns when the server has accepted the email. Raises NotDelivered."""
        client = aiosmtplib.SMTP(
            hostname=self.host,
            port=self.port,
            username=self.username,
            password=self.password,
            use_tls=self.implicit_tls,
            start_tls=False if self.implicit_tls else self.start_tls,
            tls_context=self.context or ssl.create_default_context(),
            timeout=COMMAND_TIMEOUT_SECONDS,
        )
        try:
            await client.connect()
            try:
                await _submit(client, message)
            finally:
                with suppress(SMTPException, OSError):
                    await client.quit(timeout=1)
        except SMTPResponseException as error:
            raise NotDelivered(f"{type(error).__name__} {error.code}") from None
        except (SMTPException, OSError) as error:
            raise NotDelivered(type(error).__name__) from None
        finally:
            client.close()


async def _submit(client: aiosmtplib.SMTP, message: EmailMessage) -> None:
    sender, recipient = (parseaddr(str(message[name]))[1] for name in ("From", "To"))
    plain = sender.isascii() and recipient.isascii()
    if not plain and not client.supports_extension("smtputf8"):
        raise NotDelivered("the server does not support non-ASCII addresses (SMTPUTF8)")
    options, encoding = ([], "ascii") if plain else (["SMTPUTF8"], "utf-8")
    await client.mail(sender, options=options, encoding=encoding)
    await client.rcpt(recipient, encoding=encoding)
    content = message.as_bytes(policy=SMTP if plain else SMTPUTF8)
    await client.data(content, timeout=DATA_TIMEOUT_SECONDS)


def parse_mail_url(url: str) -> Transport | None:
    """Returns the transport of a URL; None for an empty URL. Raises UnsupportedMailUrl."""
    if not url:
        return None
    try:
        parts = urlsplit(url)
        port, options = parts.port, parse_qs(parts.query, strict_parsing=bool(parts.query))
    except ValueError:
        raise UnsupportedMailUrl(_HOW_TO) from None
    if url == "console:":
        return ConsoleTransport()
    if parts.scheme == "file" and (parts.path or parts.netloc):
        return FolderTransport(Path(unquote(parts.netloc + parts.path)))
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname or parts.path.strip("/"):
        raise UnsupportedMailUrl(_HOW_TO)
    implicit_tls = parts.scheme == "smtps"
    start_tls = _start_tls(parts.hostname, options)
    if start_tls is False and parts.username:
        raise UnsupportedMailUrl("must not send a password without TLS. Remove tls=off")
    return SmtpTransport(
        host=parts.hostname,
        port=port or (465 if implicit_tls else 587),
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        implicit_tls=implicit_tls,
        start_tls=start_tls,
    )


def _start_tls(host: str, options: dict[str, list[str]]) -> bool | None:
    match options:
        case {} if not options:
            return None if host in _LOOPBACK else True
        case {"tls": ["off"]} if len(options) == 1:
            return False
        case _:
            raise UnsupportedMailUrl("has an unknown option: only tls=off is supported")
