"""The pages that links in emails lead to, for a team without pages of its own.

Opening a page does nothing, so a mail scanner that follows links uses none of them up. The person
presses a button; then the page calls the GraphQL API as a frontend's own page does.
"""

import json
import secrets
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

# What the pages send: trusted documents also where no other text runs, so this exact text.
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
ACTS = ("accept-invitation", "confirm-email", "reset-password", "verify-email")

_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def account_routes() -> list[Route]:
    """One route per page; all are one file, which looks at its address."""
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

    return [Route(f"/account/{act}", page, methods=["GET"]) for act in ACTS]
