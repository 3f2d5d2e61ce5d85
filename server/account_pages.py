"""The pages that links in mails lead to, for who has no frontend of their own for them.

Opening one does nothing: a mail scanner that follows links uses none up. What is asked for happens
when the person presses the button, by the GraphQL API, as a frontend's own page would do it.
"""

import secrets
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

ACTS = ("accept-invitation", "confirm-email", "reset-password", "verify-email")

_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def account_routes() -> list[Route]:
    """One route per page; all are one file, which looks at its address."""
    template = files("server").joinpath("account.html").read_text(encoding="utf-8")
    html = template.replace("{{endpoint}}", "../graphql")

    async def page(_request: Request) -> Response:
        nonce = secrets.token_urlsafe(16)
        return HTMLResponse(
            html.replace("{{nonce}}", nonce),
            headers={
                "Content-Security-Policy": _CONTENT_SECURITY_POLICY.format(nonce=nonce),
                "Cache-Control": "no-store",
            },
        )

    return [Route(f"/account/{act}", page, methods=["GET"]) for act in ACTS]
