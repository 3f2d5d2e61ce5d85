"""Every setting: environment variables that begin with POSTERN_, or lines of `.env`."""

from enum import StrEnum
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, SecretStr, field_validator

from auth.tokens.key_material import Algorithm
from auth.wiring import RegistrationMode
from server.limit_settings import LimitSettings
from server.origins import browser_origin, origin_of

PREFIX = "POSTERN_"
DOTENV = ".env"
FROM_FILES = ("SECRET_KEY", "DATABASE_URL", "MAIL_URL", "METRICS_TOKEN")


class Environment(StrEnum):
    """Where the server runs."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class EmailVerification(StrEnum):
    """Whether an account begins only when its address is proved."""

    REQUIRED = "required"
    OPTIONAL = "optional"


class Switch(StrEnum):
    """On or off."""

    ON = "on"
    OFF = "off"


class ConfigurationError(Exception):
    """The configuration cannot work; each problem says which setting and what to do."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class Settings(LimitSettings):
    """The configuration of one server."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, frozen=True)

    environment: Environment = Field(
        Environment.PRODUCTION,
        description="`development` makes a secret and migrates by itself, shows the explorer, and"
        " logs for people. It is for one machine only.",
    )
    host: str = Field("127.0.0.1", description="The address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="The port to listen on.")
    database_url: SecretStr = Field(
        SecretStr("sqlite:///data/postern.db"),
        description="`sqlite:///path` or `postgresql://user:password@host/name`.",
    )
    data_dir: Path = Field(
        Path("data"), description="Where development keeps its secret; made if it is missing."
    )
    secret_key: SecretStr = Field(
        SecretStr(""),
        description="At least 32 random characters. Encrypts the signing keys in the database. To"
        " change it, put the new one first and the old one after a comma.",
    )
    public_url: str = Field(
        "",
        max_length=512,
        description="The address by which clients reach this server, without a slash at the end."
        " In development `http://localhost:<port>`.",
    )
    issuer: str = Field(
        "", max_length=512, description="The `iss` of tokens. `POSTERN_PUBLIC_URL` if not set."
    )
    audience: str = Field(
        "", max_length=512, description="The `aud` of tokens. `POSTERN_PUBLIC_URL` if not set."
    )
    allowed_hosts: tuple[str, ...] = Field(
        (),
        description="More host names by which this server may be called, separated by commas. The"
        " one of `POSTERN_PUBLIC_URL` always may; so may `localhost` in development.",
    )
    cors_origins: tuple[str, ...] = Field(
        (),
        description="Origins whose pages may call this server, separated by commas:"
        " `https://app.example.com`, or those of apps, such as `capacitor://localhost`.",
    )
    jwt_algorithm: Algorithm = Field(Algorithm.ES256, description="How access tokens are signed.")
    key_max_age: int = Field(
        90 * 86400,
        ge=0,
        description="Seconds after which another key begins to sign access tokens; 0 for never.",
    )
    access_token_ttl: int = Field(
        1800, ge=1, le=3600, description="Seconds that an access token lives."
    )
    session_idle_ttl: int = Field(
        30 * 86400, ge=1, description="Seconds after which an unused session ends."
    )
    session_max_age: int = Field(
        365 * 86400, ge=1, le=10 * 365 * 86400, description="Seconds after which any session ends."
    )
    refresh_grace: int = Field(
        60,
        ge=0,
        le=300,
        description="Seconds after a refresh in which the previous refresh token gets the same"
        " successor again: for two tabs, and for clients that send no `Idempotency-Key`.",
    )
    audit_retention: int = Field(
        365 * 86400,
        ge=0,
        description="Seconds after which events of the audit trail are deleted; 0 for never.",
    )
    shutdown_delay: float = Field(
        0.0,
        ge=0,
        le=300,
        description="Seconds for which a server that was told to end (SIGTERM) goes on as before,"
        " but for `/readyz`, which says 503: for load balancers that must hear of it first.",
    )
    bcrypt_cost: int = Field(
        12, ge=4, le=16, description="Work factor of password hashes; each step doubles the time."
    )
    password_min_length: int = Field(
        8,
        ge=8,
        le=64,
        description="Shortest password, in characters. NIST SP 800-63B-4 asks for 15 where the"
        " password is the only factor.",
    )
    throttle: Switch = Field(
        Switch.ON, description="Whether guesses at passwords, and registrations, are slowed down."
    )
    trusted_proxies: tuple[str, ...] = Field(
        (),
        description="Addresses or networks of proxies, separated by commas: from them, and from"
        " nobody else, `X-Forwarded-For` is believed. Without it all clients behind a proxy share"
        " one address, and the limits of that address.",
    )
    password_grant: Switch = Field(
        Switch.ON,
        description="Whether `POST /token` takes a username and a password. RFC 9700 advises"
        " against this grant for other people's clients; see docs/security.md.",
    )
    registration: RegistrationMode = Field(
        RegistrationMode.OPEN,
        description="Whether people may create their own accounts: all, the invited, or nobody.",
    )
    email_verification: EmailVerification | Literal[""] = Field(
        "",
        description="`required`: an account begins when the link in a mail was followed, and nobody"
        " learns by registering who has one. `optional`: it begins at once. `required` in"
        " production where mail is sent, otherwise `optional`.",
    )
    mail_url: SecretStr = Field(
        SecretStr(""),
        description="What carries mail: `smtp://user:password@host:587` (STARTTLS; `?tls=off` for"
        " none, `localhost` needs none), `smtps://user:password@host:465`, `file:folder` or"
        " `console:`. `console:` in development; in production no mail is sent without it.",
    )
    mail_from: str = Field(
        "",
        description="The sender of mails, e.g. `Example <accounts@example.com>`. `no-reply@` the"
        " host of `POSTERN_PUBLIC_URL` if not set.",
    )
    mail_templates: Path | None = Field(
        None,
        description="A folder with own templates of mails, `<language>/<name>.txt` and `.html`;"
        " those that are missing there are Postern's. See docs/mail.md.",
    )
    mail_language: str = Field(
        "en", pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", description="The language of mails."
    )
    site_name: str = Field(
        "",
        max_length=100,
        description="What mails call this server. The host of `POSTERN_PUBLIC_URL` if not set.",
    )
    account_url: str = Field(
        "",
        description="Where links in mails lead: your frontend's pages `/reset-password`,"
        " `/verify-email`, `/confirm-email` and `/accept-invitation` under this address, each with"
        " `#token=` behind it. Postern's own pages, `/account` under `POSTERN_PUBLIC_URL`, if not"
        " set.",
    )
    introspection: Switch | Literal[""] = Field(
        "",
        description="Whether the schema may be asked for, and misspelt names are answered with"
        " suggestions. `on` in development, `off` in production.",
    )
    explorer: Switch | Literal[""] = Field(
        "",
        description="Whether `/graphql` and `/docs` show a page in a browser. `on` in development,"
        " `off` in production.",
    )
    metrics_token: SecretStr = Field(
        SecretStr(""),
        description="What Prometheus sends as bearer token to read `/metrics`, at least 32"
        " characters; without it there are no metrics. Each worker process counts for itself.",
    )
    trusted_documents_only: Switch = Field(
        Switch.OFF, description="Whether every document but those of the manifest is refused."
    )

    @field_validator("allowed_hosts", "cors_origins", "trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("cors_origins")
    @classmethod
    def _as_browsers_write(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        # What is not an origin stays as it is, for `postern doctor` to name it.
        return tuple(browser_origin(origin) or origin for origin in origins)

    @property
    def in_development(self) -> bool:
        """Whether this is a developer's machine."""
        return self.environment is Environment.DEVELOPMENT

    @property
    def base_url(self) -> str:
        """The public address, without a slash at the end."""
        if not self.public_url and self.in_development:
            return f"http://localhost:{self.port}"
        return self.public_url.rstrip("/")

    @property
    def own_origins(self) -> frozenset[str]:
        """Origins of pages that may act for the person in front of them."""
        return frozenset({origin_of(self.base_url), *self.cors_origins})

    @property
    def shows_explorer(self) -> bool:
        """Whether pages for people are served."""
        return (self.explorer or self._default_switch) is Switch.ON

    @property
    def allows_introspection(self) -> bool:
        """Whether the schema may be asked for."""
        return (self.introspection or self._default_switch) is Switch.ON

    @property
    def mail_address(self) -> str:
        """What carries mail; empty where none is sent."""
        return self.mail_url.get_secret_value() or ("console:" if self.in_development else "")

    @property
    def verifies_email(self) -> bool:
        """Whether an account begins only when its address is proved."""
        if self.email_verification:
            return self.email_verification is EmailVerification.REQUIRED
        return bool(self.mail_address) and not self.in_development

    @property
    def site(self) -> str:
        """What people know this server by."""
        return self.site_name or urlsplit(self.base_url).hostname or "Postern"

    @property
    def sender(self) -> str:
        """The sender of mails."""
        return self.mail_from or f"no-reply@{urlsplit(self.base_url).hostname}"

    @property
    def link_url(self) -> str:
        """Where links in mails lead, without a slash at the end."""
        return (self.account_url or f"{self.base_url}/account").rstrip("/")

    @property
    def shows_account_pages(self) -> bool:
        """Whether links in mails lead to pages of this server."""
        return bool(self.mail_address) and not self.account_url

    @property
    def secrets(self) -> list[str]:
        """The secret, then older ones."""
        return [s.strip() for s in self.secret_key.get_secret_value().split(",") if s.strip()]

    @property
    def hosts(self) -> frozenset[str]:
        """Host names by which this server may be called."""
        hosts = {urlsplit(self.base_url).hostname or "", *self.allowed_hosts}
        if self.in_development:
            hosts |= {"localhost", "127.0.0.1", "::1"}
        return frozenset(host.lower() for host in hosts if host)

    @property
    def _default_switch(self) -> Switch:
        return Switch.ON if self.in_development else Switch.OFF
