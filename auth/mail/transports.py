"""What carries a mail away: an SMTP server, or in development the terminal or a folder."""

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

# RFC 5321, 4.5.3.2: a server that has the whole mail may take ten minutes to say so, and who asks
# again sooner has it delivered twice. All else is answered soon by a server that is well.
COMMAND_TIMEOUT_SECONDS = 20
DATA_TIMEOUT_SECONDS = 600
# All commands of one mail and the wait for the last answer.
LONGEST_SECONDS = 8 * COMMAND_TIMEOUT_SECONDS + DATA_TIMEOUT_SECONDS

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_HOW_TO = (
    "must look like smtp://user:password@host:587 (STARTTLS), smtps://user:password@host:465,"
    " file:folder or console:"
)


class UnsupportedMailUrl(ValueError):
    """The address is of nothing that can carry mail."""


class NotDelivered(Exception):
    """The mail is still here; the text says why, without addresses and without the mail."""


class Transport(Protocol):
    """Carries mails away."""

    async def send(self, message: EmailMessage) -> None:
        """Returns when somebody else is responsible for the mail. Raises NotDelivered."""


class ConsoleTransport:
    """Prints mails, for a developer's terminal."""

    async def send(self, message: EmailMessage) -> None:
        """Prints the text of the mail."""
        body = message.get_body(("plain",))
        text = body.get_content() if body else ""
        sys.stdout.write(f"\n--- mail to {message['To']}: {message['Subject']}\n{text}---\n")
        sys.stdout.flush()


class FolderTransport:
    """Writes each mail into a file of a folder, for tests and for trying things."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def send(self, message: EmailMessage) -> None:
        """Writes the file: whole, or not at all."""
        name = message["Message-ID"].strip("<>").partition("@")[0]
        draft = self._folder / f".{name}"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Whoever can read it can open the account.
            descriptor = os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(message.as_bytes())
            draft.rename(self._folder / f"{name}.eml")
        except OSError as error:
            raise NotDelivered(error.strerror or type(error).__name__) from None


@dataclass(frozen=True, slots=True)
class SmtpTransport:
    """Hands mails to an SMTP server, over TLS unless that is this machine."""

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls_at_once: bool = False
    # None: only if the server offers it.
    start_tls: bool | None = True
    context: ssl.SSLContext | None = None

    async def send(self, message: EmailMessage) -> None:
        """Returns when the server has taken the mail. Raises NotDelivered."""
        client = aiosmtplib.SMTP(
            hostname=self.host,
            port=self.port,
            username=self.username,
            password=self.password,
            use_tls=self.tls_at_once,
            start_tls=False if self.tls_at_once else self.start_tls,
            tls_context=self.context or ssl.create_default_context(),
            timeout=COMMAND_TIMEOUT_SECONDS,
        )
        try:
            await client.connect()
            try:
                await _hand_over(client, message)
            finally:
                with suppress(SMTPException, OSError):
                    await client.quit(timeout=1)
        except SMTPResponseException as error:
            raise NotDelivered(f"{type(error).__name__} {error.code}") from None
        except (SMTPException, OSError) as error:
            raise NotDelivered(type(error).__name__) from None
        finally:
            client.close()


async def _hand_over(client: aiosmtplib.SMTP, message: EmailMessage) -> None:
    sender, recipient = (parseaddr(str(message[name]))[1] for name in ("From", "To"))
    plain = sender.isascii() and recipient.isascii()
    if not plain and not client.supports_extension("smtputf8"):
        raise NotDelivered("the server takes no addresses in other scripts (SMTPUTF8)")
    options, encoding = ([], "ascii") if plain else (["SMTPUTF8"], "utf-8")
    await client.mail(sender, options=options, encoding=encoding)
    await client.rcpt(recipient, encoding=encoding)
    content = message.as_bytes(policy=SMTP if plain else SMTPUTF8)
    await client.data(content, timeout=DATA_TIMEOUT_SECONDS)


def parse_mail_url(url: str) -> Transport | None:
    """Chooses what carries mail; None for an empty address. Raises UnsupportedMailUrl."""
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
    at_once = parts.scheme == "smtps"
    start_tls = _start_tls(parts.hostname, options)
    if start_tls is False and parts.username:
        raise UnsupportedMailUrl("must not send a password without TLS: remove tls=off")
    return SmtpTransport(
        host=parts.hostname,
        port=port or (465 if at_once else 587),
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        tls_at_once=at_once,
        start_tls=start_tls,
    )


def _start_tls(host: str, options: dict[str, list[str]]) -> bool | None:
    match options:
        case {} if not options:
            return None if host in _LOOPBACK else True
        case {"tls": ["off"]} if len(options) == 1:
            return False
        case _:
            raise UnsupportedMailUrl("may have only tls=off after the ?")
