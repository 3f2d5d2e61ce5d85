"""Creates the application from the settings: the policies of the layers and the endpoints."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import strawberry
import structlog
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.responses import RedirectResponse
from starlette.routing import Route, WebSocketRoute

from auth.background import Background
from auth.clock import Clock
from auth.devices import DeviceProofs
from auth.housekeeping import Housekeeping
from auth.passwords.hashing import Passwords
from auth.passwords.policy import PasswordPolicy
from auth.permissions import PermissionRegistry
from auth.sessions import SessionPolicy
from auth.throttling.throttle import Throttle
from auth.tokens.access_tokens import TokenPolicy
from auth.tokens.keys import KeyRing
from auth.tokens.link_tokens import LinkTokens
from auth.tokens.refresh_tokens import RefreshTokenCodec
from auth.tokens.secret_keys import SecretKeys
from auth.tokens.token_cache import TokenCache
from auth.user_changes import Watchers
from auth.user_rows import UserRows
from auth.viewer_cache import ViewerCache
from auth.wiring import Auth, RegistrationPolicy
from graph.explorer.built_files import file_routes
from graph.explorer.schema_file import schema_route
from graph.schema import Schema, build_schema
from models.database import Database, DatabaseUnavailable
from server import development, doctor
from server import mail_settings as mail
from server.environment import load_settings
from server.graphql_mount import GraphQLMount, mount, mount_custom
from server.http.application import Application
from server.http.cross_origin import CrossOriginPolicy
from server.http.head_requests import refuse_method
from server.http.middleware import GRAPHQL, EndpointMiddleware, RequestMiddleware
from server.http.proxy_headers import ProxyMiddleware
from server.logs import configure_embedded_logs
from server.rest.account_pages import account_routes
from server.rest.docs_page import add_docs_page
from server.rest.health import health_router
from server.rest.metrics import RequestMetrics, metrics_router
from server.rest.revocation import revocation_router
from server.rest.token import token_router
from server.rest.token_introspection import introspection_router
from server.rest.userinfo import userinfo_router
from server.rest.well_known import well_known_router
from server.settings import Settings, Switch

if TYPE_CHECKING:
    from auth.mail_delivery.delivery import EmailDelivery


log = structlog.get_logger("postern.server")

# The pause between two attempts to reach the database at startup.
_DATABASE_PAUSE_SECONDS = 1.0


def create_app(
    settings: Settings | None = None,
    *,
    queries: Sequence[type] = (),
    mutations: Sequence[type] = (),
    subscriptions: Sequence[type] = (),
    schemas: Mapping[str, strawberry.Schema] | None = None,
    permissions: Mapping[str, str] | None = None,
    clock: Clock | None = None,
) -> FastAPI:
    """Creates the server, with custom root types, custom schemas by path and custom permissions.

    Without `settings` it reads the environment. Raises ConfigurationError, UnguardedField,
    UnknownPermission, UnsupportedSchema. The startup fails if the database is not migrated.
    """
    settings = development.with_development_secret(settings or load_settings())
    configure_embedded_logs(readable=settings.in_development)
    doctor.check(settings)
    auth = build_auth(settings, PermissionRegistry(permissions), clock or Clock())
    schema = build_schema(
        auth.permissions, queries=queries, mutations=mutations, subscriptions=subscriptions
    )
    delivery = mail.build_delivery(settings, auth)
    jobs: list[Housekeeping | EmailDelivery] = [Housekeeping(auth)]
    if delivery:
        jobs.append(delivery)
    graphql = mount(settings, auth, schema)
    mounts = {GRAPHQL: graphql, **mount_custom(settings, auth, schemas or {})}
    metrics = RequestMetrics() if settings.metrics_token.get_secret_value() else None
    app = _empty_app(settings, _lifespan(settings, auth, jobs, mounts), mounts, metrics)
    app.state.auth, app.state.mail_delivery, app.state.jobs = auth, delivery, jobs
    app.state.schemas = {GRAPHQL: schema, **(schemas or {})}
    app.router.routes += [WebSocketRoute(path, at.socket) for path, at in mounts.items()]
    if metrics:
        app.include_router(
            metrics_router(auth, graphql.operations, metrics, settings.metrics_token)
        )
    _add_rest_endpoints(app, settings, auth)
    _add_pages(app, settings, auth, schema)
    return app


def _empty_app(
    settings: Settings,
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]],
    mounts: Mapping[str, GraphQLMount],
    metrics: RequestMetrics | None,
) -> FastAPI:
    app = Application(
        title="Postern",
        lifespan=lifespan,
        outside=_middleware(settings, mounts, metrics),
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json" if settings.shows_explorer else None,
        redirect_slashes=False,
    )
    app.add_exception_handler(405, refuse_method)
    app.state.is_ending = False
    return app


def _add_rest_endpoints(app: FastAPI, settings: Settings, auth: Auth) -> None:
    app.include_router(token_router(auth, password_grant=settings.password_grant is Switch.ON))
    app.include_router(revocation_router(auth))
    app.include_router(introspection_router(auth))
    app.include_router(userinfo_router(auth))
    app.include_router(well_known_router(auth, base_url=settings.base_url))
    app.include_router(health_router(auth.db, auth.keys))


def _add_pages(app: FastAPI, settings: Settings, auth: Auth, schema: Schema) -> None:
    if settings.shows_account_pages:
        app.router.routes += account_routes()
    if settings.shows_explorer:
        add_docs_page(app)
        needs_account = not settings.allows_introspection
        app.router.routes.append(schema_route(auth, schema, needs_account=needs_account))
        app.router.routes += [*file_routes(), Route("/", lambda _: RedirectResponse(GRAPHQL))]


def build_auth(
    settings: Settings, registry: PermissionRegistry, clock: Clock, *, patient: bool = False
) -> Auth:
    """Creates the auth layer from the settings. For `patient`, see `Database.connect`."""
    db = Database.connect(settings.database_url.get_secret_value(), patient=patient)
    secret_keys = SecretKeys(settings.secrets)
    keys = KeyRing(db, secret_keys, clock, settings.jwt_algorithm)
    refresh_tokens = RefreshTokenCodec(secret_keys)
    return Auth(
        db=db,
        clock=clock,
        keys=keys,
        token_cache=TokenCache(db.change_feed, keys),
        viewer_cache=ViewerCache(db.change_feed),
        user_rows=UserRows(db, registry),
        watchers=Watchers(db.change_feed),
        passwords=Passwords(cost=settings.bcrypt_cost),
        throttle=_build_throttle(settings, db, clock, secret_keys),
        background=Background(),
        refresh_tokens=refresh_tokens,
        devices=DeviceProofs(db, clock, refresh_tokens, secret_keys),
        links=LinkTokens(secret_keys),
        permissions=registry,
        token_policy=_token_policy(settings),
        session_policy=_session_policy(settings),
        password_policy=PasswordPolicy(minimum_length=settings.password_min_length),
        registration_policy=RegistrationPolicy(
            mode=settings.registration, verifies_email=settings.verifies_email
        ),
        sends_email=bool(settings.transport_url),
        key_max_age=_or_never(settings.key_max_age),
        audit_retention=_or_never(settings.audit_retention),
    )


def _token_policy(settings: Settings) -> TokenPolicy:
    return TokenPolicy(
        issuer=settings.issuer or settings.base_url,
        audience=settings.audience or settings.base_url,
        lifetime=timedelta(seconds=settings.access_token_ttl),
    )


def _session_policy(settings: Settings) -> SessionPolicy:
    return SessionPolicy(
        idle_lifetime=timedelta(seconds=settings.session_idle_ttl),
        max_age=timedelta(seconds=settings.session_max_age),
        refresh_grace=timedelta(seconds=settings.refresh_grace),
    )


def _build_throttle(
    settings: Settings, db: Database, clock: Clock, secret_keys: SecretKeys
) -> Throttle:
    return Throttle(
        db,
        clock,
        secret_keys,
        enabled=settings.throttle is Switch.ON,
        failures_per_hour=settings.failed_logins_per_hour,
    )


def _or_never(seconds: int) -> timedelta | None:
    return timedelta(seconds=seconds) if seconds else None


def _lifespan(
    settings: Settings,
    auth: Auth,
    jobs: "Sequence[Housekeeping | EmailDelivery]",
    mounts: Mapping[str, GraphQLMount],
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        try:
            await _wait_for_database(settings, auth)
            await auth.start()
            if settings.in_development:
                await development.add_development_accounts(auth)
            for job in jobs:
                job.start()
            yield
        finally:
            await asyncio.gather(*(at.endpoint.stop() for at in mounts.values()))
            await asyncio.gather(*(job.stop() for job in jobs))
            await auth.stop()

    return lifespan


async def _wait_for_database(settings: Settings, auth: Auth) -> None:
    """Waits until the database can be reached, and checks its schema and keys.

    Raises ConfigurationError if the operator has to change something.
    """
    while True:
        try:
            if settings.in_development:
                await development.migrate(auth.db)
            await doctor.check_schema(auth.db)
            await doctor.check_keys(auth.keys)
        except DatabaseUnavailable as error:
            log.warning("database.unavailable", cause=str(error))
            await asyncio.sleep(_DATABASE_PAUSE_SECONDS)
        else:
            return


def _middleware(
    settings: Settings, mounts: Mapping[str, GraphQLMount], metrics: RequestMetrics | None
) -> list[Middleware]:
    """Returns the middleware of every request, outermost first. The last one serves GraphQL."""
    endpoints = {path: at.endpoint for path, at in mounts.items()}
    behind_proxies = [Middleware(ProxyMiddleware, trusted=settings.trusted_proxies)]
    return [
        *(behind_proxies if settings.trusted_proxies else []),
        Middleware(
            RequestMiddleware,
            hosts=settings.hosts,
            https=settings.base_url.startswith("https://"),
            cross_origin=CrossOriginPolicy(settings.cors_origins),
            metrics=metrics,
        ),
        Middleware(EndpointMiddleware, endpoints=endpoints),
    ]
