"""The settings: environment variables named POSTERN_…, or lines of `.env`."""

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
    """The mode of the server: development on the operator's machine, or production."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class EmailVerification(StrEnum):
    """Whether a user has to verify the email address before the account exists."""

    REQUIRED = "required"
    OPTIONAL = "optional"


class Switch(StrEnum):
    """On or off."""

    ON = "on"
    OFF = "off"


class ConfigurationError(Exception):
    """The configuration is invalid. Each problem names a setting and says what to do."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class Settings(LimitSettings):
    """The configuration of one server."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, frozen=True)

    environment: Environment = Field(
        Environment.PRODUCTION,
        description="`development` creates a secret, migrates the database, shows the explorer and"
        " writes readable logs. Use it on your own machine only.",
    )
    app: str = Field(
        "",
        description="`module:function` that returns your own application with Postern in it; see"
        " docs/custom-schema.md. Default: Postern alone.",
    )
    host: str = Field("127.0.0.1", description="The address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="The port to listen on.")
    database_url: SecretStr = Field(
        SecretStr("sqlite:///data/postern.db"),
        description="`sqlite:///path` or `postgresql://user:password@host/name`.",
    )
    data_dir: Path = Field(
        Path("data"), description="The folder of the development secret; created if missing."
    )
    secret_key: SecretStr = Field(
        SecretStr(""),
        description="At least 32 random characters. Encrypts the signing keys in the database. To"
        " change it, list the new secret first, then the old one, separated by a comma.",
    )
    public_url: str = Field(
        "",
        max_length=512,
        description="The URL of this server for its clients, without a slash at the end. Required"
        " in production. Default in development: `http://localhost:<port>`.",
    )
    issuer: str = Field(
        "", max_length=512, description="The `iss` claim of tokens. Default: `POSTERN_PUBLIC_URL`."
    )
    audience: str = Field(
        "", max_length=512, description="The `aud` claim of tokens. Default: `POSTERN_PUBLIC_URL`."
    )
    allowed_hosts: tuple[str, ...] = Field(
        (),
        description="More host names that are accepted in the `Host` header, separated by commas."
        " The host of `POSTERN_PUBLIC_URL` is always accepted, and `localhost` in development.",
    )
    cors_origins: tuple[str, ...] = Field(
        (),
        description="Origins whose pages may call this server, separated by commas, e.g."
        " `https://app.example.com`, or `capacitor://localhost` for apps.",
    )
    jwt_algorithm: Algorithm = Field(Algorithm.ES256, description="The algorithm of access tokens.")
    key_max_age: int = Field(
        90 * 86400,
        ge=0,
        description="The signing key is rotated after this many seconds. 0: never.",
    )
    access_token_ttl: int = Field(
        1800, ge=1, le=3600, description="The lifetime of an access token, in seconds."
    )
    session_idle_ttl: int = Field(
        30 * 86400, ge=1, description="Seconds after which an unused session expires."
    )
    session_max_age: int = Field(
        365 * 86400, ge=1, le=3650 * 86400, description="Seconds after which any session expires."
    )
    refresh_grace: int = Field(
        60,
        ge=0,
        le=300,
        description="The grace window: for this many seconds after a refresh, the previous refresh"
        " token still returns the same new token. This is for pages in two tabs, and for clients"
        " that send no `Idempotency-Key`.",
    )
    audit_retention: int = Field(
        365 * 86400,
        ge=0,
        description="Audit events are deleted after this many seconds. 0: never.",
    )
    shutdown_delay: float = Field(
        0.0,
        ge=0,
        le=300,
        description="Seconds between SIGTERM and the shutdown. In this time only `/readyz` fails,"
        " with 503, so that load balancers stop sending requests.",
    )
    bcrypt_cost: int = Field(
        12, ge=4, le=16, description="The cost of password hashes. Each step doubles the time."
    )
    password_min_length: int = Field(
        8,
        ge=8,
        le=64,
        description="The minimum length of a password, in characters. NIST SP 800-63B-4 requires"
        " 15 where the password is the only factor.",
    )
    throttle: Switch = Field(
        Switch.ON,
        description="Whether the throttle is on: it delays sign-ins after failures, and limits"
        " registrations, emails, exports and profile edits.",
    )
    trusted_proxies: tuple[str, ...] = Field(
        (),
        description="The addresses or networks of your proxies, separated by commas."
        " `X-Forwarded-For` is used only if a request comes from one of them. Without this setting,"
        " all clients behind a proxy share its address and the limits per address.",
    )
    password_grant: Switch = Field(
        Switch.ON,
        description="Whether `POST /token` accepts the password grant. RFC 9700 advises against"
        " it for third-party clients. See docs/security.md.",
    )
    registration: RegistrationMode = Field(
        RegistrationMode.OPEN,
        description="Who can register: everyone (`open`), invited users only (`invitation`), or no"
        " one (`closed`).",
    )
    email_verification: EmailVerification | Literal[""] = Field(
        "",
        description="`required`: an account is created when the user follows the link in an email,"
        " and registration does not reveal who has an account. `optional`: it is created at once."
        " Default: `required` in production if email is configured, otherwise `optional`.",
    )
    mail_url: SecretStr = Field(
        SecretStr(""),
        description="How emails are sent: `smtp://user:password@host:587` (with STARTTLS unless the"
        " host is `localhost` or the URL ends in `?tls=off`), `smtps://user:password@host:465`,"
        " `file:folder` or `console:`. Default: `console:` in development, nothing in production.",
    )
    mail_from: str = Field(
        "",
        description="The sender of emails, e.g. `Example <accounts@example.com>`. Default:"
        " `no-reply@` and the host of `POSTERN_PUBLIC_URL`.",
    )
    mail_templates: Path | None = Field(
        None,
        description="A folder with custom email templates, `<language>/<name>.txt` and `.html`."
        " Postern's templates are used for missing files. See docs/email.md.",
    )
    mail_language: str = Field(
        "en", pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", description="The language of emails."
    )
    site_name: str = Field(
        "", max_length=100, description="The site's name in emails. Default: the public host name."
    )
    account_url: str = Field(
        "",
        description="The base URL of links in emails. Your frontend serves the pages"
        " `/reset-password`, `/verify-email`, `/confirm-email` and `/accept-invitation` under it;"
        " the links add `#token=…`. Default: Postern's own pages, at `/account` under"
        " `POSTERN_PUBLIC_URL`.",
    )
    introspection: Switch | Literal[""] = Field(
        "",
        description="Whether clients can use GraphQL introspection, and get suggestions for"
        " misspelled names. Default: `on` in development, `off` in production.",
    )
    explorer: Switch | Literal[""] = Field(
        "",
        description="Whether `/graphql` and `/docs` show a page in a browser. Default: `on` in"
        " development, `off` in production.",
    )
    metrics_token: SecretStr = Field(
        SecretStr(""),
        description="The bearer token with which Prometheus reads `/metrics`, at least 32"
        " characters. Without it there are no metrics. Each worker process has its own counters.",
    )
    trusted_documents_only: Switch = Field(
        Switch.OFF, description="Whether documents that are not in the manifest are refused."
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
        # Invalid origins are kept, so that `postern doctor` can report them.
        return tuple(browser_origin(origin) or origin for origin in origins)

    @property
    def in_development(self) -> bool:
        """Whether the server runs in development mode."""
        return self.environment is Environment.DEVELOPMENT

    @property
    def base_url(self) -> str:
        """The public URL, without a slash at the end."""
        if not self.public_url and self.in_development:
            return f"http://localhost:{self.port}"
        return self.public_url.rstrip("/")

    @property
    def own_origins(self) -> frozenset[str]:
        """The origins whose pages may use the session cookie."""
        return frozenset({origin_of(self.base_url), *self.cors_origins})

    @property
    def shows_explorer(self) -> bool:
        """Whether the explorer and the API documentation are served."""
        return (self.explorer or self._default_switch) is Switch.ON

    @property
    def allows_introspection(self) -> bool:
        """Whether GraphQL introspection is allowed."""
        return (self.introspection or self._default_switch) is Switch.ON

    @property
    def transport_url(self) -> str:
        """The URL of the email transport; empty if no emails are sent."""
        return self.mail_url.get_secret_value() or ("console:" if self.in_development else "")

    @property
    def verifies_email(self) -> bool:
        """Whether a user has to verify the email address before the account exists."""
        if self.email_verification:
            return self.email_verification is EmailVerification.REQUIRED
        return bool(self.transport_url) and not self.in_development

    @property
    def site(self) -> str:
        """The name of the site in emails."""
        return self.site_name or urlsplit(self.base_url).hostname or "Postern"

    @property
    def sender(self) -> str:
        """The sender of emails."""
        return self.mail_from or f"no-reply@{urlsplit(self.base_url).hostname}"

    @property
    def link_url(self) -> str:
        """The base URL of links in emails, without a slash at the end."""
        return (self.account_url or f"{self.base_url}/account").rstrip("/")

    @property
    def shows_account_pages(self) -> bool:
        """Whether links in emails lead to Postern's account pages."""
        return bool(self.transport_url) and not self.account_url

    @property
    def secrets(self) -> list[str]:
        """The current secret, followed by older ones."""
        return [s.strip() for s in self.secret_key.get_secret_value().split(",") if s.strip()]

    @property
    def hosts(self) -> frozenset[str]:
        """The host names that are accepted in the `Host` header."""
        hosts = {urlsplit(self.base_url).hostname or "", *self.allowed_hosts}
        if self.in_development:
            hosts |= {"localhost", "127.0.0.1", "::1"}
        return frozenset(host.lower() for host in hosts if host)

    @property
    def _default_switch(self) -> Switch:
        return Switch.ON if self.in_development else Switch.OFF
