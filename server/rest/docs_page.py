"""`/docs`: the Swagger page of the REST endpoints, with its files."""

import secrets

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

_ASSETS = "/docs/assets"

_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


def add_docs_page(app: FastAPI) -> None:
    """Adds the page and its files. Its Authorize button signs in at `/token`."""

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        nonce = secrets.token_urlsafe(16)
        page = get_swagger_ui_html(
            openapi_url="openapi.json",
            title="Postern",
            swagger_js_url=f"{_ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{_ASSETS}/swagger-ui.css",
            swagger_favicon_url=f"{_ASSETS}/favicon.png",
        )
        html = bytes(page.body).decode().replace("<script", f'<script nonce="{nonce}"')
        return HTMLResponse(
            html,
            headers={
                "Content-Security-Policy": _CONTENT_SECURITY_POLICY.format(nonce=nonce),
                "Cache-Control": "no-store",
            },
        )

    app.mount(_ASSETS, StaticFiles(packages=[("fastapi_offline", "static")]))
