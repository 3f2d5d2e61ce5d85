"""Email delivery, built from the settings, and the checks of the email settings.

Templates and SMTP take megabytes, so they are imported only if emails are sent.
"""

from email.utils import parseaddr
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from auth.wiring import Auth, RegistrationMode
from server.settings import Settings

if TYPE_CHECKING:
    from auth.mail.rendering import EmailRenderer
    from auth.mail_delivery.delivery import EmailDelivery


_CONSOLE_IN_PRODUCTION = (
    "POSTERN_MAIL_URL=console: prints links that give access to accounts. Use it in development"
    " only."
)


def build_delivery(settings: Settings, auth: Auth) -> "EmailDelivery | None":
    """Returns the background job that sends emails, or None if no emails are sent."""
    if not settings.transport_url:
        return None
    from auth.mail.transports import parse_mail_url  # noqa: PLC0415
    from auth.mail_delivery.composer import MessageComposer  # noqa: PLC0415
    from auth.mail_delivery.delivery import EmailDelivery  # noqa: PLC0415

    transport = parse_mail_url(settings.transport_url)
    if transport is None:
        return None
    composer = MessageComposer(auth, settings.link_url)
    return EmailDelivery(auth, composer, build_renderer(settings), transport)


def build_renderer(settings: Settings) -> "EmailRenderer":
    """Returns the renderer of email templates."""
    from auth.mail.rendering import EmailRenderer, TemplateSettings  # noqa: PLC0415

    return EmailRenderer(
        TemplateSettings(
            site_name=settings.site,
            sender=settings.sender,
            language=settings.mail_language,
            templates=settings.mail_templates,
        )
    )


def problems_of(settings: Settings) -> list[str]:
    """Returns what is wrong with the email settings, and what to do."""
    problems = [*_problems_of_transport(settings), *_problems_of_content(settings)]
    if settings.account_url and urlsplit(settings.account_url).scheme not in {"http", "https"}:
        problems.append(
            "POSTERN_ACCOUNT_URL must be a URL, for example https://app.example.com/account."
        )
    if settings.transport_url:
        return problems
    if settings.verifies_email:
        problems.append(
            "POSTERN_EMAIL_VERIFICATION=required needs email. Set POSTERN_MAIL_URL, or set"
            " POSTERN_EMAIL_VERIFICATION=optional."
        )
    if settings.registration is RegistrationMode.INVITATION:
        problems.append(
            "POSTERN_REGISTRATION=invitation needs email to send invitations. Set POSTERN_MAIL_URL."
        )
    return problems


def _problems_of_transport(settings: Settings) -> list[str]:
    if not settings.transport_url:
        return []
    from auth.mail.transports import (  # noqa: PLC0415
        ConsoleTransport,
        UnsupportedMailUrl,
        parse_mail_url,
    )

    try:
        transport = parse_mail_url(settings.transport_url)
    except UnsupportedMailUrl as error:
        # The message does not contain the URL, which may contain a password.
        return [f"POSTERN_MAIL_URL: {error}"]
    if isinstance(transport, ConsoleTransport) and not settings.in_development:
        return [_CONSOLE_IN_PRODUCTION]
    return []


def _problems_of_content(settings: Settings) -> list[str]:
    if settings.mail_templates and not settings.mail_templates.is_dir():
        return ["POSTERN_MAIL_TEMPLATES: this folder does not exist."]
    is_used = settings.transport_url or settings.mail_from
    if is_used and not _is_address(parseaddr(settings.sender)[1]):
        return ["POSTERN_MAIL_FROM must look like this: Example <accounts@example.com>"]
    return _problems_of_templates(settings) if settings.mail_templates else []


def _is_address(text: str) -> bool:
    from email.headerregistry import Address  # noqa: PLC0415

    try:
        Address(addr_spec=text)
    except (ValueError, IndexError):
        return False
    return True


def _problems_of_templates(settings: Settings) -> list[str]:
    from auth.mail.rendering import InvalidTemplate  # noqa: PLC0415

    try:
        build_renderer(settings).check()
    except InvalidTemplate as fault:
        return [f"POSTERN_MAIL_TEMPLATES: {fault}"]
    return []
