"""Rendering of emails, with built-in and custom templates."""

from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from uuid import UUID

import pytest

from auth.mail.outbox import EmailKind
from auth.mail.rendering import EmailRenderer, InvalidTemplate, Message, TemplateSettings
from tests.emails import Email

EMAIL_ID = UUID("0190a8ff-4444-7444-8888-0123456789ab")
AT = datetime(2026, 1, 1, tzinfo=UTC)
VARIABLES = {
    "username": "<script>",
    "email": "alice@example.com",
    "link": "https://example.com/account/x#token=plt_abc",
    "hours": "1",
    "until": "01 January 2026",
}


def render(kind: EmailKind = EmailKind.PASSWORD_RESET, **settings: object) -> Email:
    sender = "Example <no-reply@example.com>"
    renderer = EmailRenderer(TemplateSettings("Example", sender, **settings))  # type: ignore[arg-type] # the test chooses them
    message = Message(kind, "alice@example.com", VARIABLES)
    return Email.read(renderer.render(message, EMAIL_ID, AT).as_bytes())


@pytest.mark.parametrize("kind", list(EmailKind))
def test_email_has_subject_text_and_html(kind: EmailKind) -> None:
    email = render(kind)
    assert email.subject
    assert "\n" not in email.subject
    assert email.text.strip()
    assert email.html.startswith("<!doctype html>")


@pytest.mark.parametrize("kind", list(EmailKind))
def test_text_and_html_have_same_link(kind: EmailKind) -> None:
    email = render(kind)
    assert (VARIABLES["link"] in email.text) == (VARIABLES["link"] in email.html)


@pytest.mark.parametrize("kind", list(EmailKind))
def test_text_and_html_have_same_paragraphs(kind: EmailKind) -> None:
    email = render(kind)
    html = unescape(email.html)
    assert [part for part in email.text.strip().split("\n\n") if part not in html] == []


@pytest.mark.parametrize("kind", list(EmailKind))
def test_html_loads_no_external_resources(kind: EmailKind) -> None:
    assert "src=" not in render(kind).html
    assert "url(" not in render(kind).html


def test_html_escapes_username() -> None:
    email = render()
    assert "<script>" in email.text
    assert "<script>" not in email.html
    assert "&lt;script&gt;" in email.html


def test_headers_mark_email_as_automatic_with_stable_message_id() -> None:
    message = render().message
    assert message["Message-ID"] == f"<{EMAIL_ID}@example.com>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"].datetime == AT


def test_custom_template_replaces_built_in_one(tmp_path: Path) -> None:
    (tmp_path / "en").mkdir()
    (tmp_path / "en/password_reset.txt").write_text("Subject: Own\n\nOwn words: {{ link }}\n")
    email = render(templates=tmp_path)
    assert (email.subject, email.text) == ("Own", f"Own words: {VARIABLES['link']}\n")
    assert "Choose a new password" in email.html


def test_missing_template_of_language_falls_back_to_english(tmp_path: Path) -> None:
    (tmp_path / "de").mkdir()
    (tmp_path / "de/password_reset.txt").write_text(
        "Subject: Neues Kennwort für {{ site }}\n\nHallo\n"
    )
    email = render(templates=tmp_path, language="de")
    assert email.subject == "Neues Kennwort für Example"
    assert "Choose a new password" in email.html


@pytest.mark.parametrize(
    "template",
    ["No subject\n", "Subject: x\n\n{{ nothing }}", "Subject: {% x %}", "Subject: {{ 1 / 0 }}"],
)
def test_template_that_cannot_be_rendered_raises(tmp_path: Path, template: str) -> None:
    (tmp_path / "en").mkdir()
    (tmp_path / "en/password_reset.txt").write_text(template)
    with pytest.raises((InvalidTemplate, ZeroDivisionError)):
        render(templates=tmp_path)


def test_check_finds_template_with_syntax_error(tmp_path: Path) -> None:
    (tmp_path / "en").mkdir()
    (tmp_path / "en/invitation.html").write_text("{% if %}")
    renderer = EmailRenderer(
        TemplateSettings("Example", "no-reply@example.com", templates=tmp_path)
    )
    with pytest.raises(InvalidTemplate, match=r"invitation\.html"):
        renderer.check()


@pytest.mark.parametrize(
    ("recipient", "shown"),
    [
        ("alice@bücher.example", "alice@xn--bcher-kva.example"),
        ("ålice@example.com", "ålice@example.com"),
    ],
)
def test_recipient_is_ascii_if_possible(recipient: str, shown: str) -> None:
    renderer = EmailRenderer(TemplateSettings("Example", "no-reply@example.com"))
    message = Message(EmailKind.TEST, recipient, {"email": recipient})
    assert str(renderer.render(message, EMAIL_ID, AT)["To"]) == shown
