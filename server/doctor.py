"""Checks the configuration and the database, and says how to fix each problem."""

from importlib.metadata import PackageNotFoundError, distribution
from ipaddress import ip_network
from urllib.parse import urlsplit

from auth.clock import Clock
from auth.tokens.keys import KeyRing
from auth.tokens.secret_keys import SecretKeys, WrongSecretKey
from graph.documents.trusted_documents import InvalidManifest
from models.database import Database, DatabaseUnavailable, UnsupportedDatabase, parse_url
from models.schema_state import SchemaState, schema_state
from models.writability import check_writable
from server import mail_settings as mail
from server.origins import browser_origin
from server.settings import ConfigurationError, Settings, Switch
from server.trusted_manifest import read_trusted_documents

SECRET_MIN_LENGTH = 32
DEVELOPMENT_SECRET_PREFIX = "development_"  # noqa: S105 - the prefix of a secret

_NEW_SECRET = "Create a secret with: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"  # noqa: S105

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

_DEVELOPMENT_IN_PUBLIC = (
    "POSTERN_HOST: in development mode the passwords are public, so other machines must not reach"
    " the server. Set POSTERN_HOST=127.0.0.1 or POSTERN_ENVIRONMENT=production."
)

# Secrets of tutorials, templates and other projects. All of them are public.
_WELL_KNOWN_SECRETS = (
    *("changeme", "change-me", "change_me", "your_super_secret", "your-secret"),
    *("0123456789abcdef", "abcdefghijklmnop"),
    # jwt.io
    "a-string-secret-at-least-256-bits-long",
    # The tutorial of FastAPI
    "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
)


def problems_of(settings: Settings) -> list[str]:
    """Returns what is wrong with the settings, and what to do."""
    problems = _problems_anywhere(settings)
    if settings.in_development:
        return problems + _problems_in_development(settings)
    return problems + _problems_in_production(settings)


def _problems_anywhere(settings: Settings) -> list[str]:
    problems = []
    try:
        parse_url(settings.database_url.get_secret_value())
    except UnsupportedDatabase as error:
        problems.append(f"POSTERN_DATABASE_URL: {error}")
    problems += [
        f"POSTERN_CORS_ORIGINS: {origin!r} is not an origin. Use for example"
        " https://app.example.com or capacitor://localhost, without a path and without *."
        for origin in settings.cors_origins
        if browser_origin(origin) is None
    ]
    problems += [
        f"POSTERN_TRUSTED_PROXIES: {proxy!r} is not an IP address or network. Use for example"
        " 10.0.0.0/8."
        for proxy in settings.trusted_proxies
        if not _is_network(proxy)
    ]
    if 0 < len(settings.metrics_token.get_secret_value()) < SECRET_MIN_LENGTH:
        problems.append(
            f"POSTERN_METRICS_TOKEN is shorter than {SECRET_MIN_LENGTH} characters. {_NEW_SECRET}"
        )
    if settings.base_url and not _is_http(settings.base_url):
        problems.append("POSTERN_PUBLIC_URL must be a URL, for example https://auth.example.com.")
    # The defaults of the email settings depend on the public URL, so that is checked first.
    return problems or mail.problems_of(settings)


def _is_network(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return True


def _is_http(address: str) -> bool:
    try:
        url = urlsplit(address)
        # urllib parses the port only when it is read.
        _ = url.port
    except ValueError:
        return False
    return url.scheme in {"http", "https"} and bool(url.hostname)


def _problems_in_development(settings: Settings) -> list[str]:
    return [] if settings.host in _LOOPBACK else [_DEVELOPMENT_IN_PUBLIC]


def _problems_in_production(settings: Settings) -> list[str]:
    problems = [_explain_secret(secret) for secret in settings.secrets or [""]]
    if not settings.base_url:
        problems.append(
            "POSTERN_PUBLIC_URL is missing. Set the URL of this server for its clients, for example"
            " https://auth.example.com."
        )
    if settings.bcrypt_cost < 10:
        problems.append(
            "POSTERN_BCRYPT_COST: a cost below 10 makes password hashes easy to crack. Use 12."
        )
    return [problem for problem in problems if problem]


def _explain_secret(secret: str) -> str:
    advice = _NEW_SECRET
    if not secret:
        return (
            f"POSTERN_SECRET_KEY is missing. {advice} (To try Postern on your own machine, set"
            " POSTERN_ENVIRONMENT=development instead, or use `make run`.)"
        )
    if secret.startswith(DEVELOPMENT_SECRET_PREFIX):
        return f"POSTERN_SECRET_KEY was created for development. {advice}"
    if any(known in secret.lower() for known in _WELL_KNOWN_SECRETS):
        return f"POSTERN_SECRET_KEY contains a well-known secret. {advice}"
    if len(secret) < SECRET_MIN_LENGTH:
        return f"POSTERN_SECRET_KEY is shorter than {SECRET_MIN_LENGTH} characters. {advice}"
    if len(set(secret)) < 10:
        return f"POSTERN_SECRET_KEY has too few different characters. {advice}"
    return ""


async def diagnose(settings: Settings) -> list[str]:
    """Returns everything that is wrong with the settings and the database."""
    problems = problems_of(settings) + _problems_of_packages() + _problems_of_documents(settings)
    if problems:
        return problems
    try:
        db = Database.connect(settings.database_url.get_secret_value())
    except DatabaseUnavailable as error:
        return [unreachable(error)]
    try:
        return await _problems_of_database(db, settings)
    finally:
        await db.close()


def check(settings: Settings) -> None:
    """Checks everything but the database. Raises ConfigurationError with all problems."""
    problems = problems_of(settings) + _problems_of_packages()
    if problems:
        raise ConfigurationError(problems)


async def check_database(db: Database) -> None:
    """Raises ConfigurationError if the database is unreachable or of another version."""
    try:
        await check_schema(db)
    except DatabaseUnavailable as error:
        raise ConfigurationError([unreachable(error)]) from None


async def check_schema(db: Database) -> None:
    """Raises ConfigurationError if the database is of another version, or DatabaseUnavailable."""
    problem = _problem_of_schema(await schema_state(db))
    if problem:
        raise ConfigurationError([problem])


async def check_keys(keys: KeyRing) -> None:
    """Loads the signing keys. Raises ConfigurationError if the secret does not decrypt them."""
    try:
        await keys.start()
    except WrongSecretKey:
        raise ConfigurationError([_KEYS_NOT_DECRYPTED]) from None


_KEYS_NOT_DECRYPTED = (
    "POSTERN_SECRET_KEY does not decrypt the signing keys in the database, which were encrypted"
    " with another secret. Add that secret after the new one, separated by a comma. If it was lost"
    " or leaked, run `postern sessions end-all` with the new secret: it replaces the keys and ends"
    " all sessions."
)


_PASSLIB_BESIDE_LIBPASS = (
    "The package passlib is installed beside libpass and overwrites its files. Run"
    " `pip uninstall passlib && pip install --force-reinstall libpass`."
)


async def _problems_of_database(db: Database, settings: Settings) -> list[str]:
    try:
        await check_database(db)
        if settings.secrets:
            secret_keys = SecretKeys(settings.secrets)
            await KeyRing(db, secret_keys, Clock(), settings.jwt_algorithm).check_secret()
        await check_writable(db)
    except ConfigurationError as error:
        return error.problems
    except WrongSecretKey:
        return [_KEYS_NOT_DECRYPTED]
    except DatabaseUnavailable as error:
        return [unreachable(error)]
    return []


def _problems_of_documents(settings: Settings) -> list[str]:
    """Returns the problems of trusted documents, and of pages whose documents are refused."""
    problems = []
    if settings.trusted_documents_only is Switch.ON and settings.explorer is Switch.ON:
        problems.append(
            "POSTERN_EXPLORER: the explorer does not work with POSTERN_TRUSTED_DOCUMENTS_ONLY=on,"
            " which refuses all other documents. Turn one of them off."
        )
    try:
        # The documents are validated when the server starts: custom code can extend the schema.
        read_trusted_documents(settings)
    except InvalidManifest as error:
        problems.append(f"POSTERN_TRUSTED_DOCUMENTS: {error}")
    return problems


def _problem_of_schema(state: SchemaState) -> str | None:
    if state is SchemaState.BEHIND:
        return "The database is not migrated. Run `postern migrate`, then start again."
    if state is SchemaState.AHEAD:
        return (
            "The database was migrated by a newer version of Postern. Run that version here too, or"
            " restore a backup from before the migration."
        )
    return None


def unreachable(error: DatabaseUnavailable) -> str:
    """Returns why the database cannot be read or written, and what to do."""
    cause = str(error)
    for causes, (problem, advice) in _ADVICE.items():
        if cause.startswith(causes):
            return f"{problem} ({cause}). {advice}"
    return (
        f"The database cannot be reached ({cause}). Check that it runs and that"
        " POSTERN_DATABASE_URL is correct."
    )


_ADVICE = {
    ("TimeoutError", "QueryCanceledError", "OperationTimeout"): (
        "The database did not answer in time",
        "Check its load, and whether other connections hold locks.",
    ),
    ("SQLITE_BUSY", "SQLITE_LOCKED", "LockNotAvailableError"): (
        "Another program is writing to the database",
        "Wait until it has finished, then try again.",
    ),
    ("SQLITE_FULL", "DiskFullError"): (
        "The disk of the database is full",
        "Free some space, then try again.",
    ),
    ("SQLITE_IOERR",): (
        "The database cannot write to its disk",
        "Check its free space, and the system log for disk errors.",
    ),
    ("SQLITE_READONLY", "ReadOnlySQLTransactionError"): (
        "The database is read-only",
        "Give Postern write access.",
    ),
    ("StandbyServer",): (
        "The database server is a standby",
        "Set POSTERN_DATABASE_URL to the primary.",
    ),
}


def _problems_of_packages() -> list[str]:
    try:
        distribution("passlib")
    except PackageNotFoundError:
        return []
    return [_PASSLIB_BESIDE_LIBPASS]
