"""Renders emails from templates, which operators can replace.

An email has two templates: `<language>/<kind>.txt`, whose first line is the subject, and
`<language>/<kind>.html`.
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

from auth.mail.outbox import EmailKind

DEFAULT_LANGUAGE = "en"
_SUBJECT = "Subject: "
# RFC 5322, 2.1.1.
_LINE_MAX_LENGTH = 998


class InvalidTemplate(Exception):
    """A template cannot be loaded or rendered. The message names it and the reason."""


@dataclass(frozen=True, slots=True)
class Message:
    """An email before it is rendered."""

    kind: EmailKind
    recipient: str
    variables: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TemplateSettings:
    """The settings that all emails of a server share."""

    site_name: str
    sender: str
    language: str = DEFAULT_LANGUAGE
    # The operator's templates. For those that are missing, the built-in ones are used.
    templates: Path | None = None


class EmailRenderer:
    """Renders messages."""

    def __init__(self, settings: TemplateSettings) -> None:
        self._settings = settings
        custom = [FileSystemLoader(settings.templates)] if settings.templates else []
        self._environment = Environment(
            loader=ChoiceLoader([*custom, PackageLoader(__package__, "templates")]),
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )

    def render(self, message: Message, email_id: UUID, at: datetime) -> EmailMessage:
        """Returns the email. Its Message-ID depends on `email_id` only. Raises InvalidTemplate."""
        subject, text = self._render_text(message)
        email = EmailMessage()
        name, sender = parseaddr(self._settings.sender)
        domain = sender.rpartition("@")[2]
        email["From"] = Address(name, addr_spec=sender)
        email["To"] = _address(message.recipient)
        email["Subject"] = subject
        email["Date"] = format_datetime(at)
        email["Message-ID"] = f"<{email_id}@{domain}>"
        # RFC 3834: auto-replies are not sent to it.
        email["Auto-Submitted"] = "auto-generated"
        html = self._render(message, "html")
        email.set_content(text, cte=_encoding(text))
        email.add_alternative(html, subtype="html", cte=_encoding(html))
        return email

    def check(self) -> None:
        """Loads every template. Raises InvalidTemplate."""
        for kind in EmailKind:
            for part in ("txt", "html"):
                self._get(kind, part)

    def _render_text(self, message: Message) -> tuple[str, str]:
        first, _, rest = self._render(message, "txt").partition("\n")
        if not first.startswith(_SUBJECT):
            raise InvalidTemplate(
                f"{message.kind}.txt: the first line must start with {_SUBJECT!r}"
            )
        return first.removeprefix(_SUBJECT).strip(), rest.lstrip("\n")

    def _render(self, message: Message, part: str) -> str:
        template = self._get(message.kind, part)
        try:
            return template.render(site=self._settings.site_name, **message.variables)
        except TemplateError as error:
            raise InvalidTemplate(f"{message.kind}.{part}: {error}") from None

    def _get(self, kind: EmailKind, part: str) -> Template:
        names = [f"{language}/{kind}.{part}" for language in self._languages()]
        try:
            return self._environment.select_template(names)
        except TemplateError as error:
            raise InvalidTemplate(f"{kind}.{part}: {error}") from None

    def _languages(self) -> list[str]:
        return list(dict.fromkeys([self._settings.language, DEFAULT_LANGUAGE]))


def _address(email: str) -> Address:
    # ASCII if possible, since every mail server accepts it.
    ascii_form = validate_email(email, check_deliverability=False).ascii_email or email
    local, _, domain = ascii_form.rpartition("@")
    return Address(username=local, domain=domain)


def _encoding(text: str) -> str:
    # 7bit if possible, so that links stay readable in the raw email.
    fits = text.isascii() and max(map(len, text.splitlines()), default=0) < _LINE_MAX_LENGTH
    return "7bit" if fits else "quoted-printable"
