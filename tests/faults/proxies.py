"""Real reverse proxies in front of a server, with the configuration files of `deploy/`."""

import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.processes import free_port

DEPLOY = Path(__file__).parents[2] / "deploy"
# The host name in the files of deploy/.
HOST = "auth.example.com"
STARTS_WITHIN_SECONDS = 60

# Debian installs two of them into a folder that is only in the PATH of root.
_PATH = "/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin:/opt/homebrew/bin"


@dataclass(frozen=True, slots=True)
class Proxy:
    """A running proxy, with its TLS port and an SSL context that trusts its certificate."""

    port: int
    tls: ssl.SSLContext


@dataclass(frozen=True, slots=True)
class Plan:
    """The arguments of a proxy."""

    folder: Path
    upstream_port: int
    tls_port: int
    plain_port: int
    # The ports of more machines behind the same proxy.
    other_ports: tuple[int, ...] = ()

    @property
    def certificate(self) -> Path:
        """The file with the certificate and its key."""
        return self.folder / "certificate.pem"

    def adapt(self, name: str, changes: Mapping[str, str]) -> str:
        """Copies a file of `deploy/` with other ports and paths. Each change must apply."""
        text = (DEPLOY / name).read_text("utf-8")
        for old, new in {"127.0.0.1:8000": f"127.0.0.1:{self.upstream_port}", **changes}.items():
            assert old in text, f"{name} has no {old!r}"
            text = text.replace(old, new)
        return text


def _nginx(plan: Plan) -> list[str]:
    site = plan.adapt(
        "nginx.conf",
        {
            "listen 80;": f"listen 127.0.0.1:{plan.plain_port};",
            "listen 443 ssl;": f"listen 127.0.0.1:{plan.tls_port} ssl;",
            f"/etc/ssl/{HOST}/fullchain.pem": str(plan.certificate),
            f"/etc/ssl/{HOST}/privkey.pem": str(plan.certificate),
            f"server 127.0.0.1:{plan.upstream_port};": _machines(plan),
        },
    )
    # Only root can write to Debian's folders.
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    folders = " ".join(f"{kind}_temp_path {plan.folder}/{kind};" for kind in kinds)
    config = plan.folder / "nginx.conf"
    config.write_text(
        # One process, so that all clients share its connections to the server.
        f"user root; worker_processes 1; daemon off; pid {plan.folder}/pid; events {{}}\n"
        f"http {{ access_log off; {folders}\n{site}\n}}\n"
    )
    errors = str(plan.folder / "error.log")
    return ["nginx", "-p", str(plan.folder), "-e", errors, "-c", str(config)]


def _machines(plan: Plan) -> str:
    """Returns the upstreams for several machines, as in docs/deployment.md."""
    if not plan.other_ports:
        return f"server 127.0.0.1:{plan.upstream_port};"
    ports = (plan.upstream_port, *plan.other_ports)
    return "\n    ".join(f"server 127.0.0.1:{port} max_fails=0;" for port in ports)


def _caddy(plan: Plan) -> list[str]:
    certificate = plan.certificate
    site = plan.adapt(
        "Caddyfile",
        {f"\n{HOST} {{": f"\nhttps://{HOST}:{plan.tls_port} {{\n\ttls {certificate} {certificate}"},
    )
    options = (
        "{\n\tadmin off\n\tauto_https off\n\tdefault_bind 127.0.0.1\n\tskip_install_trust\n}\n"
    )
    config = plan.folder / "Caddyfile"
    config.write_text(options + site)
    return ["caddy", "run", "--config", str(config), "--adapter", "caddyfile"]


def _haproxy(plan: Plan) -> list[str]:
    config = plan.folder / "haproxy.cfg"
    config.write_text(
        plan.adapt(
            "haproxy.cfg",
            {
                "bind :80": f"bind 127.0.0.1:{plan.plain_port}",
                "bind :443": f"bind 127.0.0.1:{plan.tls_port}",
                f"/etc/haproxy/{HOST}.pem": str(plan.certificate),
                "    user haproxy\n    group haproxy\n": "",
                "log /dev/log local0": "log stdout format raw local0",
            },
        )
    )
    return ["haproxy", "-db", "-f", str(config)]


PROXIES: dict[str, Callable[[Plan], list[str]]] = {
    "nginx": _nginx,
    "caddy": _caddy,
    "haproxy": _haproxy,
}


def is_installed(name: str) -> bool:
    return shutil.which(name, path=_PATH) is not None


@contextmanager
def running_proxy(
    name: str, folder: Path, upstream_port: int, *other_ports: int
) -> Iterator[Proxy]:
    """Starts a proxy, and stops it at the end of the block."""
    plan = Plan(folder, upstream_port, free_port(), free_port(), other_ports)
    tls = _write_certificate(plan.certificate)
    command = PROXIES[name](plan)
    environment = {"PATH": _PATH, "HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    log = folder / "proxy.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
    try:
        _wait_until_listening(process, plan.tls_port, log)
        yield Proxy(plan.tls_port, tls)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_listening(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"the proxy did not start: {log.read_text('utf-8', 'replace')}")


def _write_certificate(file: Path) -> ssl.SSLContext:
    """Writes a certificate with its key. Returns an SSL context that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = signed.public_bytes(serialization.Encoding.PEM)
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    file.write_bytes(pem + key.private_bytes(serialization.Encoding.PEM, form, plain))
    return ssl.create_default_context(cadata=pem.decode())
