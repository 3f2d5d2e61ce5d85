"""Turns a letter into a mail: by templates, a text and an HTML part, which operators may replace.

A template is `<language>/<kind>.txt`, whose first line is the subject, and a `.html` beside it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from pathlib import Path
from uuid import UUID

from email_validator import validate_email
from jinja2 import (
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PackageLoader,
    StrictUndefined,
    Template,
    TemplateError,
    select_autoescape,
)

from auth.mail.outbox import Kind

DEFAULT_LANGUAGE = "en"
_SUBJECT = "Subject: "
# RFC 5322, 2.1.1.
_LINE_MAX_LENGTH = 998


class TemplateFault(Exception):
    """A template cannot be read, or not be filled; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail before it has words: to whom, which, and what it tells."""

    kind: Kind
    recipient: str
    variables: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Letterhead:
    """What all mails of this server share."""

    site_name: str
    sender: str
    language: str = DEFAULT_LANGUAGE
    # An operator's own templates; those that are missing there are ours.
    templates: Path | None = None


class MailWriter:
    """Fills templates."""

    def __init__(self, letterhead: Letterhead) -> None:
        self._letterhead = letterhead
        own = [FileSystemLoader(letterhead.templates)] if letterhead.templates else []
        self._environment = Environment(
            loader=ChoiceLoader([*own, PackageLoader(__package__, "templates")]),
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )

    def write(self, letter: Letter, mail_id: UUID, at: datetime) -> EmailMessage:
        """The mail, with the same id at every attempt. Raises TemplateFault."""
        subject, text = self._text(letter)
        message = EmailMessage()
        name, sender = parseaddr(self._letterhead.sender)
        domain = sender.rpartition("@")[2]
        message["From"] = Address(name, addr_spec=sender)
        message["To"] = _address(letter.recipient)
        message["Subject"] = subject
        message["Date"] = format_datetime(at)
        message["Message-ID"] = f"<{mail_id}@{domain}>"
        # RFC 3834: no out-of-office note comes back.
        message["Auto-Submitted"] = "auto-generated"
        html = self._fill(letter, "html")
        message.set_content(text, cte=_encoding(text))
        message.add_alternative(html, subtype="html", cte=_encoding(html))
        return message

    def check(self) -> None:
        """Reads every template. Raises TemplateFault."""
        for kind in Kind:
            for part in ("txt", "html"):
                self._get(kind, part)

    def _text(self, letter: Letter) -> tuple[str, str]:
        first, _, rest = self._fill(letter, "txt").partition("\n")
        if not first.startswith(_SUBJECT):
            raise TemplateFault(f"{letter.kind}.txt: its first line must begin with {_SUBJECT!r}")
        return first.removeprefix(_SUBJECT).strip(), rest.lstrip("\n")

    def _fill(self, letter: Letter, part: str) -> str:
        template = self._get(letter.kind, part)
        try:
            return template.render(site=self._letterhead.site_name, **letter.variables)
        except TemplateError as error:
            raise TemplateFault(f"{letter.kind}.{part}: {error}") from None

    def _get(self, kind: Kind, part: str) -> Template:
        names = [f"{language}/{kind}.{part}" for language in self._languages()]
        try:
            return self._environment.select_template(names)
        except TemplateError as error:
            raise TemplateFault(f"{kind}.{part}: {error}") from None

    def _languages(self) -> list[str]:
        return list(dict.fromkeys([self._letterhead.language, DEFAULT_LANGUAGE]))


def _address(email: str) -> Address:
    # In ASCII wherever that is possible: every mail server takes that.
    plain = validate_email(email, check_deliverability=False).ascii_email or email
    local, _, domain = plain.rpartition("@")
    return Address(username=local, domain=domain)


def _encoding(text: str) -> str:
    # Plain where it can be: then a link can be read out of the mail as it travels, too.
    fits = text.isascii() and max(map(len, text.splitlines()), default=0) < _LINE_MAX_LENGTH
    return "7bit" if fits else "quoted-printable"
