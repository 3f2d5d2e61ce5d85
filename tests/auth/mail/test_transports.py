"""Transports for email: URLs, SMTP with TLS, folders and the console."""

import ssl
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path
from uuid import uuid4

import pytest
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from auth.mail.transports import (
    ConsoleTransport,
    FolderTransport,
    NotDelivered,
    SmtpTransport,
    UnsupportedMailUrl,
    parse_mail_url,
)
from tests.emails import ClosingController, Email, SmtpServer
from tests.processes import free_port


def make_email(recipient: str = "alice@example.com") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = "no-reply@example.com", recipient
    message["Subject"], message["Message-ID"] = "Hello", f"<{uuid4()}@example.com>"
    message.set_content("The text.\n")
    return message


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("smtp://mail.example.com", ("mail.example.com", 587, None, None, False, True)),
        ("smtp://mail.example.com:25?tls=off", ("mail.example.com", 25, None, None, False, False)),
        ("smtps://me:p%40ss@mail.example.com", ("mail.example.com", 465, "me", "p@ss", True, True)),
        ("smtp://localhost:1025", ("localhost", 1025, None, None, False, None)),
        ("smtp://127.0.0.1:1025", ("127.0.0.1", 1025, None, None, False, None)),
    ],
)
def test_smtp_url_is_parsed(url: str, wanted: tuple[object, ...]) -> None:
    smtp = parse_mail_url(url)
    assert isinstance(smtp, SmtpTransport)
    found = (smtp.host, smtp.port, smtp.username, smtp.password, smtp.implicit_tls, smtp.start_tls)
    assert found == wanted


def test_console_and_file_urls_are_parsed() -> None:
    assert isinstance(parse_mail_url("console:"), ConsoleTransport)
    assert isinstance(parse_mail_url("file:mails"), FolderTransport)
    assert isinstance(parse_mail_url("file:///tmp/mails"), FolderTransport)
    assert parse_mail_url("") is None


@pytest.mark.parametrize(
    "url",
    [
        "mail.example.com",
        "smtp://",
        "smtp://host:eighty",
        "http://host",
        "file:",
        "console:x",
        "smtp://host/path",
        "smtp://host?tls=maybe",
        "smtp://host?verify=off",
        "smtp://host?tls",
        "smtp://me:secret@host?tls=off",
        "smtp://[",
    ],
)
def test_unsupported_mail_url_is_rejected(url: str) -> None:
    with pytest.raises(UnsupportedMailUrl) as refused:
        parse_mail_url(url)
    assert "secret" not in str(refused.value)


def test_smtp_password_is_not_in_repr() -> None:
    assert "hunter2" not in repr(parse_mail_url("smtp://me:hunter2@mail.example.com"))


async def test_console_transport_prints_text(capsys: pytest.CaptureFixture[str]) -> None:
    await ConsoleTransport().send(make_email())
    shown = capsys.readouterr().out
    assert "alice@example.com" in shown
    assert "The text." in shown


async def test_folder_transport_writes_private_files(tmp_path: Path) -> None:
    await FolderTransport(tmp_path / "emails").send(make_email())
    (file,) = (tmp_path / "emails").iterdir()
    assert Email.read(file.read_bytes()).text == "The text.\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


async def test_folder_transport_raises_if_folder_is_not_writable(tmp_path: Path) -> None:
    (tmp_path / "emails").write_text("a file")
    with pytest.raises(NotDelivered):
        await FolderTransport(tmp_path / "emails").send(make_email())


async def test_smtp_transport_sends_to_non_ascii_address(tmp_path: Path) -> None:
    with SmtpServer() as server:
        transport = parse_mail_url(server.url)
        assert transport
        await transport.send(make_email("ålice@example.com"))
        assert server.emails[0].recipient == "ålice@example.com"


class Receiver:
    """Accepts every email."""

    def __init__(self) -> None:
        self.emails: list[bytes] = []

    async def handle_DATA(self, _server: object, _session: object, envelope: object) -> str:  # noqa: N802 - aiosmtpd calls it by this name
        self.emails.append(getattr(envelope, "content", b""))
        return "250 taken"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """TLS contexts of a server for localhost and of a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = signed.public_bytes(serialization.Encoding.PEM)
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    file.write_bytes(pem + key.private_bytes(serialization.Encoding.PEM, form, plain))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cadata=pem.decode())


@pytest.fixture
def starttls(certificate: tuple[ssl.SSLContext, ssl.SSLContext]) -> Iterator[ClosingController]:
    """An SMTP server that requires STARTTLS and a password."""

    def login(
        _server: object, _session: object, _envelope: object, _how: str, auth: object
    ) -> AuthResult:
        assert isinstance(auth, LoginPassword)
        return AuthResult(success=auth.password == b"right", handled=False)

    controller = ClosingController(
        Receiver(),
        hostname="127.0.0.1",
        port=free_port(),
        tls_context=certificate[0],
        require_starttls=True,
        auth_required=True,
        authenticator=login,
    )
    controller.start()
    yield controller
    controller.stop()


async def test_smtp_transport_authenticates_over_starttls(
    starttls: ClosingController, certificate: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    transport = SmtpTransport(
        "localhost", starttls.port, "me", "right", start_tls=True, context=certificate[1]
    )
    await transport.send(make_email())
    assert len(starttls.handler.emails) == 1


async def test_smtp_transport_raises_for_wrong_password(
    starttls: ClosingController, certificate: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    transport = SmtpTransport("localhost", starttls.port, "me", "wrong", context=certificate[1])
    with pytest.raises(NotDelivered, match="SMTPAuthenticationError 535"):
        await transport.send(make_email())


async def test_smtp_transport_rejects_untrusted_certificate(
    starttls: ClosingController,
) -> None:
    with pytest.raises(NotDelivered):
        await SmtpTransport("localhost", starttls.port, "me", "right").send(make_email())
    assert starttls.handler.emails == []


async def test_smtp_transport_requires_starttls() -> None:
    with SmtpServer() as server:
        port = int(server.url.rpartition(":")[2])
        with pytest.raises(NotDelivered):
            await SmtpTransport("127.0.0.1", port, start_tls=True).send(make_email())
        assert server.emails == []


async def test_smtp_transport_sends_over_implicit_tls(
    certificate: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    controller = ClosingController(
        Receiver(), hostname="127.0.0.1", port=free_port(), ssl_context=certificate[0]
    )
    controller.start()
    transport = SmtpTransport(
        "localhost", controller.port, implicit_tls=True, context=certificate[1]
    )
    await transport.send(make_email())
    assert len(controller.handler.emails) == 1
    controller.stop()


async def test_smtp_transport_raises_if_server_is_unreachable() -> None:
    with pytest.raises(NotDelivered, match="SMTPConnectError"):
        await SmtpTransport("127.0.0.1", free_port(), start_tls=None).send(make_email())
