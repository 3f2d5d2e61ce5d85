"""The explorer: GraphiQL in the browser, at the address of the API itself."""

import secrets
from collections.abc import Mapping
from importlib.resources import files

from starlette.responses import HTMLResponse
from starlette.types import Scope

_CDN = "https://unpkg.com"

# Scripts run only with the nonce of this reply; GraphiQL's editor writes style attributes.
_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; "
    f"style-src 'unsafe-inline' {_CDN}; font-src data:; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Explorer:
    """Serves GraphiQL. `username` and `password` stand in its example; empty ones are blanks."""

    def __init__(self, *, username: str, password: str) -> None:
        template = files("graph").joinpath("explorer.html").read_text(encoding="utf-8")
        self._html = template.replace("{{username}}", username).replace("{{password}}", password)

    def is_asked_for(self, scope: Scope, headers: Mapping[bytes, bytes]) -> bool:
        """Whether this is a person who opens the address, rather than a program with a query."""
        return (
            scope["method"] == "GET"
            and b"text/html" in headers.get(b"accept", b"").lower()
            and b"query=" not in scope["query_string"]
        )

    def page(self) -> HTMLResponse:
        """The page, with a fresh nonce."""
        nonce = secrets.token_urlsafe(16)
        return HTMLResponse(
            self._html.replace("{{nonce}}", nonce),
            headers={
                "Content-Security-Policy": _CONTENT_SECURITY_POLICY.format(nonce=nonce),
                "Cache-Control": "no-store",
            },
        )
