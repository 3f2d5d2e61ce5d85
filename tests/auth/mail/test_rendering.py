"""Mails: their words, and an operator's own."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from auth.mail.outbox import Kind
from auth.mail.rendering import Letter, Letterhead, MailWriter, TemplateFault
from tests.emails import Email

MAIL_ID = UUID("0190a8ff-4444-7444-8888-0123456789ab")
AT = datetime(2026, 1, 1, tzinfo=UTC)
VARIABLES = {
    "username": "<script>",
    "email": "alice@example.com",
    "link": "https://example.com/account/x#token=plt_abc",
    "hours": "1",
    "until": "01 January 2026",
}


def write(kind: Kind = Kind.PASSWORD_RESET, **head: object) -> Email:
    writer = MailWriter(Letterhead("Example", "Example <no-reply@example.com>", **head))  # type: ignore[arg-type] # of the test's choice
    letter = Letter(kind, "alice@example.com", VARIABLES)
    return Email.read(writer.write(letter, MAIL_ID, AT).as_bytes())


@pytest.mark.parametrize("kind", list(Kind))
def test_every_mail_has_a_subject_and_both_parts(kind: Kind) -> None:
    mail = write(kind)
    assert mail.subject
    assert "\n" not in mail.subject
    assert mail.text.strip()
    assert mail.html.startswith("<!doctype html>")


@pytest.mark.parametrize("kind", list(Kind))
def test_the_parts_have_the_same_links(kind: Kind) -> None:
    mail = write(kind)
    assert (VARIABLES["link"] in mail.text) == (VARIABLES["link"] in mail.html)


@pytest.mark.parametrize("kind", list(Kind))
def test_nothing_in_a_mail_is_loaded_from_elsewhere(kind: Kind) -> None:
    assert "src=" not in write(kind).html
    assert "url(" not in write(kind).html


def test_what_people_chose_is_no_markup() -> None:
    mail = write()
    assert "<script>" in mail.text
    assert "<script>" not in mail.html
    assert "&lt;script&gt;" in mail.html


def test_each_attempt_has_the_same_id_and_is_marked_as_automatic() -> None:
    message = write().message
    assert message["Message-ID"] == f"<{MAIL_ID}@example.com>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"].datetime == AT


def test_an_operators_template_takes_the_place_of_ours(tmp_path: Path) -> None:
    (tmp_path / "en").mkdir()
    (tmp_path / "en/password_reset.txt").write_text("Subject: Own\n\nOwn words: {{ link }}\n")
    mail = write(templates=tmp_path)
    assert (mail.subject, mail.text) == ("Own", f"Own words: {VARIABLES['link']}\n")
    assert "Choose a new password" in mail.html


def test_another_language_falls_back_to_english(tmp_path: Path) -> None:
    (tmp_path / "de").mkdir()
    (tmp_path / "de/password_reset.txt").write_text(
        "Subject: Neues Kennwort für {{ site }}\n\nHallo\n"
    )
    mail = write(templates=tmp_path, language="de")
    assert mail.subject == "Neues Kennwort für Example"
    assert "Choose a new password" in mail.html


@pytest.mark.parametrize(
    "template",
    ["No subject\n", "Subject: x\n\n{{ nothing }}", "Subject: {% x %}", "Subject: {{ 1 / 0 }}"],
)
def test_a_template_that_cannot_be_filled_is_told(tmp_path: Path, template: str) -> None:
    (tmp_path / "en").mkdir()
    (tmp_path / "en/password_reset.txt").write_text(template)
    with pytest.raises((TemplateFault, ZeroDivisionError)):
        write(templates=tmp_path)


def test_a_template_that_cannot_be_read_is_told_before_it_is_needed(tmp_path: Path) -> None:
    (tmp_path / "en").mkdir()
    (tmp_path / "en/invitation.html").write_text("{% if %}")
    writer = MailWriter(Letterhead("Example", "no-reply@example.com", templates=tmp_path))
    with pytest.raises(TemplateFault, match=r"invitation\.html"):
        writer.check()


@pytest.mark.parametrize(
    ("recipient", "shown"),
    [
        ("alice@bücher.example", "alice@xn--bcher-kva.example"),
        ("ålice@example.com", "ålice@example.com"),
    ],
)
def test_addresses_are_in_ascii_where_that_is_possible(recipient: str, shown: str) -> None:
    writer = MailWriter(Letterhead("Example", "no-reply@example.com"))
    message = writer.write(Letter(Kind.TEST, recipient, {"email": recipient}), MAIL_ID, AT)
    assert str(message["To"]) == shown
