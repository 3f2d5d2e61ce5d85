"""Putting the server together: what the settings say is what it does."""

from collections.abc import Callable
from typing import Any

import jwt
import pytest
from pydantic import SecretStr
from sqlalchemy import delete, select, text

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
    """The settings of a server in production, and more."""

    def make(**more: Any) -> Settings:
        said = {
            "environment": Environment.PRODUCTION,
            "secret_key": SecretStr(SECRET),
            "public_url": BASE_URL,
            "database_url": SecretStr(sqlite_url),
            "bcrypt_cost": 10,
        }
        return Settings(**{**said, **more})

    return make


def claims_of(token: str) -> dict[str, Any]:
    return dict(jwt.decode(token, options={"verify_signature": False}))


async def test_the_public_address_is_the_issuer_and_the_audience(
    production: Production, clock: ManualClock
) -> None:
    async with serving(production(allowed_hosts=("internal",)), clock) as api:
        api.http.headers["Host"] = "internal"
        claims = claims_of(await api.log_in(ALICE))
    assert (claims["iss"], claims["aud"]) == (BASE_URL, BASE_URL)


async def test_issuer_and_audience_can_be_others(
    production: Production, clock: ManualClock
) -> None:
    named = production(issuer="https://issuer.example", audience="shop")
    async with serving(named, clock) as api:
        token = await api.log_in(ALICE)
        assert (await api.data("{ me { username } }", token=token))["me"]
    claims = claims_of(token)
    assert (claims["iss"], claims["aud"]) == ("https://issuer.example", "shop")


async def test_production_shows_no_pages(production: Production, clock: ManualClock) -> None:
    async with serving(production(), clock) as api:
        assert "<html" not in (await api.http.get("/graphql", headers=PAGE)).text
        for path in ("/", "/docs", "/openapi.json", "/redoc", "/docs/assets/favicon.png"):
            assert (await api.http.get(path, headers=PAGE)).status_code == 404


async def test_production_may_be_told_to_show_them(
    production: Production, clock: ManualClock
) -> None:
    async with serving(production(explorer=Switch.ON), clock) as api:
        page = await api.http.get("/graphql", headers=PAGE)
        assert "<html" in page.text
        assert "secret123" not in page.text
        assert (await api.http.get("/openapi.json")).status_code == 200


async def test_the_bare_address_leads_to_the_explorer(sqlite_api: Api) -> None:
    reply = await sqlite_api.http.get("/", follow_redirects=False)
    assert (reply.status_code, reply.headers["location"]) == (307, "/graphql")


async def test_the_page_of_the_rest_endpoints_runs_its_own_scripts_only(sqlite_api: Api) -> None:
    page = await sqlite_api.http.get("/docs")
    nonce = page.headers["content-security-policy"].partition("'nonce-")[2].partition("'")[0]
    assert page.text.count("<script") == page.text.count(f'<script nonce="{nonce}"') > 0
    assert "https://" not in page.text
    assert (await sqlite_api.http.get("/docs/assets/swagger-ui.css")).status_code == 200


@pytest.mark.parametrize(("switch", "tells"), [("", False), (Switch.ON, True), (Switch.OFF, False)])
async def test_production_tells_its_schema_only_when_told_to(
    production: Production, clock: ManualClock, switch: Switch, tells: bool
) -> None:
    async with serving(production(introspection=switch), clock) as api:
        assert ("data" in await api.ask(INTROSPECTION)) == tells
        assert ("Did you mean" in (await api.post("{ mee }")).text) == tells


async def test_a_host_that_is_not_listed_is_refused_in_production(
    production: Production, clock: ManualClock
) -> None:
    async with serving(production(public_url="https://auth.example.com"), clock) as api:
        for host, status in [("auth.example.com", 200), ("localhost", 400), ("127.0.0.1", 400)]:
            reply = await api.http.get("/.well-known/jwks.json", headers={"Host": host})
            assert reply.status_code == status


async def test_https_is_remembered_by_browsers_where_the_public_address_has_it(
    production: Production, clock: ManualClock
) -> None:
    async with serving(production(public_url="https://auth.example.com"), clock) as api:
        assert "max-age" in (await api.http.get("/healthz")).headers["strict-transport-security"]


async def test_development_over_plain_http_does_not_ask_for_https(sqlite_api: Api) -> None:
    assert "strict-transport-security" not in (await sqlite_api.http.get("/healthz")).headers


async def test_access_tokens_live_as_long_as_is_set(
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
async def test_a_session_ends_when_it_is_set_to(
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


async def test_the_shortest_password_is_as_set(production: Production, clock: ManualClock) -> None:
    async with serving(production(password_min_length=15), clock) as api:
        assert codes(await register(api, "fourteen chars")) == ["PASSWORD_TOO_SHORT"]
        assert codes(await register(api, "fifteen chars..")) == []


async def test_closed_registration_is_closed(production: Production, clock: ManualClock) -> None:
    async with serving(production(registration=RegistrationMode.CLOSED), clock) as api:
        assert codes(await register(api, "a perfectly good one")) == ["REGISTRATION_CLOSED"]


async def test_tokens_are_signed_as_set(production: Production, clock: ManualClock) -> None:
    async with serving(production(jwt_algorithm="EdDSA"), clock) as api:
        token = await api.log_in(SUPPORT)
        keys = (await api.http.get("/.well-known/jwks.json")).json()["keys"]
    assert jwt.get_unverified_header(token)["alg"] == "EdDSA"
    assert [key["alg"] for key in keys] == ["EdDSA"]


def test_without_settings_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
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


async def test_production_does_not_migrate_by_itself(
    production: Production, clock: ManualClock, postgresql_templates: PostgresqlTemplates
) -> None:
    for url in ("sqlite:///empty.db", postgresql_templates.empty()):
        empty = production(database_url=SecretStr(url))
        assert "Run `postern migrate`" in await start_and_fail(empty, clock)
        assert "Run `postern migrate`" in await start_and_fail(empty, clock)


async def test_development_migrates_and_lets_alice_in(
    clock: ManualClock, postgresql_templates: PostgresqlTemplates
) -> None:
    for url in ("sqlite:///empty.db", postgresql_templates.empty()):
        settings = Settings(
            environment=Environment.DEVELOPMENT, database_url=SecretStr(url), bcrypt_cost=4
        )
        async with serving(settings, clock) as api:
            assert (await api.try_login("alice", "secret123"))["tokens"]


async def test_a_start_with_the_wrong_secret_makes_no_key_over_the_old_one(
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


@pytest.mark.parametrize(("version", "status"), [("0001", "database not migrated"), ("9999", "ok")])
async def test_server_is_ready_while_its_database_is_of_its_version_or_newer(
    sqlite_api: Api, version: str, status: str
) -> None:
    async with sqlite_api.auth.db.begin() as tx:
        await tx.execute(
            text("UPDATE postern_alembic_version SET version_num = :v"), {"v": version}
        )
    assert (await sqlite_api.http.get("/readyz")).json() == {"status": status}


async def test_production_adds_no_accounts(
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
