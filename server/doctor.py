"""What is wrong with a configuration, in plain words, and what to do about it."""

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
DEVELOPMENT_SECRET_PREFIX = "development_"  # noqa: S105 - not a secret, a mark on one

_NEW_SECRET = "make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"  # noqa: S105

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

_DEVELOPMENT_IN_PUBLIC = (
    "POSTERN_HOST: development has accounts with public passwords, so it listens to this machine"
    " only: use 127.0.0.1, or set POSTERN_ENVIRONMENT=production"
)

# Words out of tutorials, templates and peers, in secrets that their readers kept. All are public.
_WELL_KNOWN_SECRETS = (
    *("changeme", "change-me", "change_me", "your_super_secret", "your-secret"),
    *("0123456789abcdef", "abcdefghijklmnop"),
    # jwt.io
    "a-string-secret-at-least-256-bits-long",
    # The tutorial of FastAPI
    "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
)


def problems_of(settings: Settings) -> list[str]:
    """What keeps this configuration from working, each with what to do about it."""
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
        f"POSTERN_CORS_ORIGINS: {origin!r} is not an origin. Write for example"
        " https://app.example.com or capacitor://localhost, without a path and without *"
        for origin in settings.cors_origins
        if browser_origin(origin) is None
    ]
    problems += [
        f"POSTERN_TRUSTED_PROXIES: {proxy!r} is no address and no network; write e.g. 10.0.0.0/8"
        for proxy in settings.trusted_proxies
        if not _is_network(proxy)
    ]
    if 0 < len(settings.metrics_token.get_secret_value()) < SECRET_MIN_LENGTH:
        problems.append(
            f"POSTERN_METRICS_TOKEN: shorter than {SECRET_MIN_LENGTH} characters: {_NEW_SECRET}"
        )
    if settings.base_url and not _is_http(settings.base_url):
        problems.append("POSTERN_PUBLIC_URL: must look like https://auth.example.com")
    # What mail says of itself comes from the public address.
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
        # Asked for because urllib looks at the port no sooner.
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
            "POSTERN_PUBLIC_URL is missing: set the address by which clients reach this server,"
            " e.g. https://auth.example.com"
        )
    if settings.bcrypt_cost < 10:
        problems.append("POSTERN_BCRYPT_COST: below 10 hashes are too cheap to guess; use 12")
    return [problem for problem in problems if problem]


def _explain_secret(secret: str) -> str:
    advice = _NEW_SECRET
    if not secret:
        return (
            f"POSTERN_SECRET_KEY is missing: {advice}. (To try Postern on your own machine, set"
            " POSTERN_ENVIRONMENT=development instead, or use `make run`.)"
        )
    if secret.startswith(DEVELOPMENT_SECRET_PREFIX):
        return f"POSTERN_SECRET_KEY was made for development: {advice}"
    if any(known in secret.lower() for known in _WELL_KNOWN_SECRETS):
        return f"POSTERN_SECRET_KEY is a well-known word that anybody would try: {advice}"
    if len(secret) < SECRET_MIN_LENGTH:
        return f"POSTERN_SECRET_KEY is shorter than {SECRET_MIN_LENGTH} characters: {advice}"
    if len(set(secret)) < 10:
        return f"POSTERN_SECRET_KEY repeats a few characters and is easy to guess: {advice}"
    return ""


async def diagnose(settings: Settings) -> list[str]:
    """Everything that is wrong, with the database too; empty when all is well."""
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
    """Raises ConfigurationError with everything that can be known without the database."""
    problems = problems_of(settings) + _problems_of_packages()
    if problems:
        raise ConfigurationError(problems)


async def check_database(db: Database) -> None:
    """Raises ConfigurationError for a database that is unreachable, or of another version."""
    try:
        await check_schema(db)
    except DatabaseUnavailable as error:
        raise ConfigurationError([unreachable(error)]) from None


async def check_schema(db: Database) -> None:
    """Raises ConfigurationError for a database of another version, and DatabaseUnavailable."""
    problem = _problem_of_schema(await schema_state(db))
    if problem:
        raise ConfigurationError([problem])


async def check_keys(keys: KeyRing) -> None:
    """Loads the signing keys. Raises ConfigurationError when the secret does not open them."""
    try:
        await keys.start()
    except WrongSecretKey:
        raise ConfigurationError([_KEYS_DO_NOT_OPEN]) from None


_KEYS_DO_NOT_OPEN = (
    "POSTERN_SECRET_KEY does not open the signing keys in the database: they were encrypted"
    " under another secret. Put that one after the new one, separated by a comma. If it has leaked"
    " or is lost, run `postern sessions end-all` with the new one: that replaces the keys and ends"
    " every session."
)


_PASSLIB_BESIDE_LIBPASS = (
    "The package passlib is installed beside libpass and overwrites its files: run"
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
        return [_KEYS_DO_NOT_OPEN]
    except DatabaseUnavailable as error:
        return [unreachable(error)]
    return []


def _problems_of_documents(settings: Settings) -> list[str]:
    """What keeps trusted documents from running, and the pages whose documents are refused."""
    problems = []
    if settings.trusted_documents_only is Switch.ON and settings.explorer is Switch.ON:
        problems.append(
            "POSTERN_EXPLORER: the explorer does not work with POSTERN_TRUSTED_DOCUMENTS_ONLY=on,"
            " which refuses every query that is typed: turn one of them off"
        )
    try:
        # Whether the documents fit the schema, which own code may extend, is checked at the start.
        read_trusted_documents(settings)
    except InvalidManifest as error:
        problems.append(f"POSTERN_TRUSTED_DOCUMENTS: {error}")
    return problems


def _problem_of_schema(state: SchemaState) -> str | None:
    if state is SchemaState.BEHIND:
        return "The database is not migrated: run `postern migrate`, then start again."
    if state is SchemaState.AHEAD:
        return (
            "The database was migrated by a newer version of Postern: run that version here too, or"
            " restore a backup of before."
        )
    return None


def unreachable(error: DatabaseUnavailable) -> str:
    """What to do about a database that does not answer, or does not write."""
    cause = str(error)
    for causes, advice in _ADVICE.items():
        if cause.startswith(causes):
            return f"{advice} ({cause})."
    return (
        f"The database cannot be reached ({cause}): check that it runs and that"
        " POSTERN_DATABASE_URL is right."
    )


_ADVICE = {
    ("TimeoutError", "QueryCanceledError", "OperationTimeout"): (
        "The database did not answer in time: look for its load, and for locks that others hold"
    ),
    ("SQLITE_BUSY", "SQLITE_LOCKED", "LockNotAvailableError"): (
        "Another program writes to the database: wait for its end, then try again"
    ),
    ("SQLITE_FULL", "DiskFullError"): "The disk of the database is full: make room, then try again",
    ("SQLITE_IOERR",): "The database cannot write to its disk: look for free space and for errors",
    ("SQLITE_READONLY", "ReadOnlySQLTransactionError"): (
        "The database is read-only: let Postern write to it"
    ),
    ("StandbyServer",): (
        "The server of the database is a standby: set POSTERN_DATABASE_URL to the primary"
    ),
}


def _problems_of_packages() -> list[str]:
    try:
        distribution("passlib")
    except PackageNotFoundError:
        return []
    return [_PASSLIB_BESIDE_LIBPASS]
