"""The account pages: the targets of links in emails, for teams without own pages.

Opening a page changes nothing, so email scanners that follow links do not use them up. When the
user presses the button, the page calls the GraphQL API as the page of a frontend would.
"""

import json
import secrets
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

# The documents of the pages. They are trusted documents, so the pages must send exactly this text.
DOCUMENTS = {
    mutation: f"mutation AccountPage($input: {kind}Input!)"
    f" {{ {mutation}(input: $input) {{ errors {{ message }} }} }}"
    for mutation, kind in (
        ("register", "Register"),
        ("resetPassword", "ResetPassword"),
        ("verifyEmail", "VerifyEmail"),
        ("confirmEmailChange", "ConfirmEmailChange"),
    )
}
PAGES = ("accept-invitation", "confirm-email", "reset-password", "verify-email")

_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def account_routes() -> list[Route]:
    """Returns one route per page. All of them serve the same file, which depends on its URL."""
    template = files(__package__).joinpath("account.html").read_text(encoding="utf-8")
    html = template.replace("{{endpoint}}", "../graphql")
    html = html.replace("{{documents}}", json.dumps(DOCUMENTS))

    async def page(_request: Request) -> Response:
        nonce = secrets.token_urlsafe(16)
        return HTMLResponse(
            html.replace("{{nonce}}", nonce),
            headers={
                "Content-Security-Policy": _CONTENT_SECURITY_POLICY.format(nonce=nonce),
                "Cache-Control": "no-store",
            },
        )

    return [Route(f"/account/{name}", page, methods=["GET"]) for name in PAGES]
