"""Mail after the settings: what carries it, who writes it, and what is wrong with them.

What writes and carries is imported only where mail is sent: templates and SMTP take megabytes.
"""

from email.utils import parseaddr
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from auth.wiring import Auth, RegistrationMode
from server.settings import Settings

if TYPE_CHECKING:
    from auth.mail.rendering import MailWriter
    from auth.mail_delivery.delivery import MailDelivery


def build_delivery(settings: Settings, auth: Auth) -> "MailDelivery | None":
    """The background job that sends mail; None where none is sent."""
    if not settings.mail_address:
        return None
    from auth.mail.transports import parse_mail_url  # noqa: PLC0415
    from auth.mail_delivery.delivery import MailDelivery  # noqa: PLC0415
    from auth.mail_delivery.messages import Letters  # noqa: PLC0415

    transport = parse_mail_url(settings.mail_address)
    if transport is None:
        return None
    letters = Letters(auth, settings.link_url)
    return MailDelivery(auth, letters, build_writer(settings), transport)


def build_writer(settings: Settings) -> "MailWriter":
    """Who fills the templates."""
    from auth.mail.rendering import Letterhead, MailWriter  # noqa: PLC0415

    return MailWriter(
        Letterhead(
            site_name=settings.site,
            sender=settings.sender,
            language=settings.mail_language,
            templates=settings.mail_templates,
        )
    )


def problems_of(settings: Settings) -> list[str]:
    """What keeps mail from working, each with what to do about it."""
    problems = [*_problems_of_transport(settings), *_problems_of_words(settings)]
    if settings.account_url and urlsplit(settings.account_url).scheme not in {"http", "https"}:
        problems.append("POSTERN_ACCOUNT_URL: must look like https://app.example.com/account")
    if settings.mail_address:
        return problems
    if settings.verifies_email:
        problems.append(
            "POSTERN_EMAIL_VERIFICATION: required needs mail: set POSTERN_MAIL_URL, or say optional"
        )
    if settings.registration is RegistrationMode.INVITATION:
        problems.append("POSTERN_REGISTRATION: invitations are mails: set POSTERN_MAIL_URL")
    return problems


def _problems_of_transport(settings: Settings) -> list[str]:
    if not settings.mail_address:
        return []
    from auth.mail.transports import (  # noqa: PLC0415
        ConsoleTransport,
        UnsupportedMailUrl,
        parse_mail_url,
    )

    try:
        transport = parse_mail_url(settings.mail_address)
    except UnsupportedMailUrl as error:
        # The address itself stays out of the message: it may hold a password.
        return [f"POSTERN_MAIL_URL: {error}"]
    if isinstance(transport, ConsoleTransport) and not settings.in_development:
        return [
            "POSTERN_MAIL_URL: console: would print links that open accounts: it is for development"
        ]
    return []


def _problems_of_words(settings: Settings) -> list[str]:
    if settings.mail_templates and not settings.mail_templates.is_dir():
        return ["POSTERN_MAIL_TEMPLATES: there is no such folder"]
    is_used = settings.mail_address or settings.mail_from
    if is_used and not _is_address(parseaddr(settings.sender)[1]):
        return ["POSTERN_MAIL_FROM: must look like Example <accounts@example.com>"]
    return _problems_of_templates(settings) if settings.mail_templates else []


def _is_address(text: str) -> bool:
    from email.headerregistry import Address  # noqa: PLC0415

    try:
        Address(addr_spec=text)
    except (ValueError, IndexError):
        return False
    return True


def _problems_of_templates(settings: Settings) -> list[str]:
    from auth.mail.rendering import TemplateFault  # noqa: PLC0415

    try:
        build_writer(settings).check()
    except TemplateFault as fault:
        return [f"POSTERN_MAIL_TEMPLATES: {fault}"]
    return []
