"""The application: the settings have their effect."""

from collections.abc import Callable
from typing import Any

import jwt
import pytest
from pydantic import SecretStr
from sqlalchemy import delete, select

from auth.wiring import RegistrationMode
from models.database import Database
from models.signing_key import SigningKey
from models.user import User
from server.app import create_app
from server.settings import ConfigurationError, Environment, Settings, Switch
from tests.accounts import ALICE, SUPPORT
from tests.api import BASE_URL, Api, codes, denials, serving
from tests.clock import ManualClock
from tests.databases import PostgresqlTemplates

SECRET = "kX9v2mQ7rT4wY8zB3nL6pD1sF5hJ0cGa"
PAGE = {"Accept": "text/html"}
INTROSPECTION = "{ __schema { queryType { name } } }"

Production = Callable[..., Settings]


@pytest.fixture
def production(sqlite_url: str) -> Production:
    """Creates the settings of a production server, with changes."""

    def make(**more: Any) -> Settings:
        defaults = {
            "environment": Environment.PRODUCTION,
            "secret_key": SecretStr(SECRET),
            "public_url": BASE_URL,
            "database_url": SecretStr(sqlite_url),
            "bcrypt_cost": 10,
        }
        return Settings(**{**defaults, **more})

    return make


def claims_of(token: str) -> dict[str, Any]:
    return dict(jwt.decode(token, options={"verify_signature": False}))


async def test_public_url_is_the_default_issuer_and_audience(
    production: Production, clock: ManualClock
) -> None:
    async with serving(production(allowed_hosts=("internal",)), clock) as api:
        api.http.headers["Host"] = "internal"
        claims = claims_of(await api.log_in(ALICE))
    assert (claims["iss"], claims["aud"]) == (BASE_URL, BASE_URL)


async def test_issuer_and_audience_can_be_set(production: Production, clock: ManualClock) -> None:
    named = production(issuer="https://issuer.example", audience="shop")
    async with serving(named, clock) as api:
        token = await api.log_in(ALICE)
        assert (await api.data("{ me { username } }", token=token))["me"]
    claims = claims_of(token)
    assert (claims["iss"], claims["aud"]) == ("https://issuer.example", "shop")


async def test_production_serves_no_pages_by_default(
    production: Production, clock: ManualClock
) -> None:
    async with serving(production(), clock) as api:
        assert "<html" not in (await api.http.get("/graphql", headers=PAGE)).text
        for path in ("/", "/docs", "/openapi.json", "/redoc", "/docs/assets/favicon.png"):
            assert (await api.http.get(path, headers=PAGE)).status_code == 404


async def test_explorer_setting_turns_on_the_pages_in_production(
    production: Production, clock: ManualClock
) -> None:
    async with serving(production(explorer=Switch.ON), clock) as api:
        page = await api.http.get("/graphql", headers=PAGE)
        assert "<html" in page.text
        assert "secret123" not in page.text
        assert (await api.http.get("/openapi.json")).status_code == 200


async def test_root_path_redirects_to_the_explorer(sqlite_api: Api) -> None:
    reply = await sqlite_api.http.get("/", follow_redirects=False)
    assert (reply.status_code, reply.headers["location"]) == (307, "/graphql")


@pytest.mark.parametrize(
    ("switch", "allowed"), [("", False), (Switch.ON, True), (Switch.OFF, False)]
)
async def test_introspection_setting_turns_on_introspection_in_production(
    production: Production, clock: ManualClock, switch: Switch, allowed: bool
) -> None:
    async with serving(production(introspection=switch), clock) as api:
        assert ("data" in await api.ask(INTROSPECTION)) == allowed
        assert ("Did you mean" in (await api.post("{ mee }")).text) == allowed


async def test_host_that_is_not_allowed_is_refused_in_production(
    production: Production, clock: ManualClock
) -> None:
    async with serving(production(public_url="https://auth.example.com"), clock) as api:
        for host, status in [("auth.example.com", 200), ("localhost", 400), ("127.0.0.1", 400)]:
            reply = await api.http.get("/.well-known/jwks.json", headers={"Host": host})
            assert reply.status_code == status


async def test_strict_transport_security_is_sent_for_an_https_public_url(
    production: Production, clock: ManualClock
) -> None:
    async with serving(production(public_url="https://auth.example.com"), clock) as api:
        assert "max-age" in (await api.http.get("/healthz")).headers["strict-transport-security"]


async def test_strict_transport_security_is_not_sent_over_plain_http(sqlite_api: Api) -> None:
    assert "strict-transport-security" not in (await sqlite_api.http.get("/healthz")).headers


async def test_access_token_ttl_sets_the_lifetime_of_access_tokens(
    production: Production, clock: ManualClock
) -> None:
    async with serving(production(access_token_ttl=60), clock) as api:
        token = await api.log_in(ALICE)
        clock.tick(seconds=59)
        assert (await api.data("{ me { username } }", token=token))["me"]
        clock.tick(seconds=7)
        (denial,) = denials(await api.ask("{ me { username } }", token=token))
    assert denial["reason"] == "TOKEN_EXPIRED"


@pytest.mark.parametrize("setting", ["session_idle_ttl", "session_max_age"])
async def test_session_expires_after_the_configured_timeouts(
    production: Production, clock: ManualClock, setting: str
) -> None:
    async with serving(production(**{setting: 60}), clock) as api:
        token = await api.log_in(ALICE)
        clock.tick(seconds=61)
        (denial,) = denials(await api.ask("{ me { username } }", token=token))
    assert denial["reason"] == "TOKEN_EXPIRED"


async def register(api: Api, password: str) -> Any:
    data = await api.data(
        "mutation R($input: RegisterInput!) { register(input: $input) { errors { code } } }",
        {"input": {"username": "carol", "email": "carol@example.com", "password": password}},
    )
    return data["register"]


async def test_password_min_length_sets_the_minimum_length(
    production: Production, clock: ManualClock
) -> None:
    async with serving(production(password_min_length=15), clock) as api:
        assert codes(await register(api, "fourteen chars")) == ["PASSWORD_TOO_SHORT"]
        assert codes(await register(api, "fifteen chars..")) == []


async def test_registration_can_be_closed(production: Production, clock: ManualClock) -> None:
    async with serving(production(registration=RegistrationMode.CLOSED), clock) as api:
        assert codes(await register(api, "a perfectly good one")) == ["REGISTRATION_CLOSED"]


async def test_jwt_algorithm_sets_the_algorithm_of_tokens(
    production: Production, clock: ManualClock
) -> None:
    async with serving(production(jwt_algorithm="EdDSA"), clock) as api:
        token = await api.log_in(SUPPORT)
        keys = (await api.http.get("/.well-known/jwks.json")).json()["keys"]
    assert jwt.get_unverified_header(token)["alg"] == "EdDSA"
    assert [key["alg"] for key in keys] == ["EdDSA"]


def test_create_app_without_settings_reads_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTERN_SECRET_KEY", "changeme")
    monkeypatch.setenv("POSTERN_PUBLIC_URL", BASE_URL)
    with pytest.raises(ConfigurationError) as refused:
        create_app()
    assert [problem.split()[0] for problem in refused.value.problems] == ["POSTERN_SECRET_KEY"]


async def start_and_fail(settings: Settings, clock: ManualClock) -> str:
    with pytest.raises(ConfigurationError) as refused:
        async with serving(settings, clock):
            pass
    return str(refused.value)


async def test_production_does_not_migrate_the_database(
    production: Production, clock: ManualClock, postgresql_templates: PostgresqlTemplates
) -> None:
    for url in ("sqlite:///empty.db", postgresql_templates.empty()):
        empty = production(database_url=SecretStr(url))
        assert "Run `postern migrate`" in await start_and_fail(empty, clock)
        assert "Run `postern migrate`" in await start_and_fail(empty, clock)


async def test_development_migrates_and_creates_accounts(
    clock: ManualClock, postgresql_templates: PostgresqlTemplates
) -> None:
    for url in ("sqlite:///empty.db", postgresql_templates.empty()):
        settings = Settings(
            environment=Environment.DEVELOPMENT, database_url=SecretStr(url), bcrypt_cost=4
        )
        async with serving(settings, clock) as api:
            assert (await api.try_login("alice", "secret123"))["tokens"]


async def test_start_with_the_wrong_secret_creates_no_key(
    production: Production, clock: ManualClock, sqlite_url: str
) -> None:
    async with serving(production(), clock):
        pass
    other = production(secret_key=SecretStr(SECRET[::-1]))
    assert "does not decrypt the signing keys" in await start_and_fail(other, clock)
    db = Database.connect(sqlite_url)
    async with db.read() as session:
        assert len(list(await session.scalars(select(SigningKey)))) == 1
    await db.close()


async def test_production_creates_no_accounts(
    production: Production, clock: ManualClock, sqlite_url: str
) -> None:
    db = Database.connect(sqlite_url)
    async with db.begin() as tx:
        await tx.execute(delete(User))
    async with serving(production(), clock) as api:
        assert codes(await api.try_login("alice", "secret123")) == ["INVALID_CREDENTIALS"]
    async with db.read() as session:
        assert list(await session.scalars(select(User))) == []
    await db.close()
