"""The explorer: GraphiQL in the browser, at the address of the API itself.

Our own page around it (`explorer/`) where that is built. Without its files the page is one that
loads GraphiQL from a CDN, as Strawberry's does.
"""

import secrets
from collections.abc import Mapping
from html import escape
from importlib.resources import files

from starlette.responses import HTMLResponse
from starlette.types import Scope

from graph.explorer import built_files
from graph.negotiation import parse_weights, preference_for
from graph.statuses import JSON, RESPONSE_JSON

_CDN = "https://unpkg.com"

# Scripts run only with the nonce of this reply; GraphiQL's editor writes style attributes.
_POLICY_OF_CDN_PAGE = (
    "default-src 'none'; script-src 'nonce-{{nonce}}'; "
    f"style-src 'unsafe-inline' {_CDN}; font-src data:; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# Its editor writes style elements, and has its fonts as `data:` in its style sheet.
_POLICY_OF_BUILT_PAGE = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self' 'unsafe-inline'; "
    "font-src 'self' data:; img-src 'self' data:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)


class Explorer:
    """Serves GraphiQL. `username` and `password` stand filled in; empty ones are blanks.

    `schema_needs_account` tells the page to ask for the schema with a token only.
    """

    def __init__(self, *, username: str, password: str, schema_needs_account: bool = False) -> None:
        if built_files.is_built():
            template = built_files.PAGE.read_text(encoding="utf-8")
            self._policy = _POLICY_OF_BUILT_PAGE
        else:
            template = files(__package__).joinpath("explorer.html").read_text(encoding="utf-8")
            self._policy = _POLICY_OF_CDN_PAGE
        self._html = (
            template.replace("{{username}}", escape(username))
            .replace("{{password}}", escape(password))
            .replace("{{schemaNeeds}}", "account" if schema_needs_account else "nothing")
        )

    def is_requested(self, scope: Scope, headers: Mapping[bytes, bytes]) -> bool:
        """Whether a browser opens the address, rather than a program with a query."""
        return (
            scope["method"] == "GET"
            and b"query=" not in scope["query_string"]
            and _wants_page(headers.get(b"accept", b"").decode("latin-1"))
        )

    def page(self) -> HTMLResponse:
        """The page, with a fresh nonce."""
        nonce = secrets.token_urlsafe(16)
        return HTMLResponse(
            self._html.replace("{{nonce}}", nonce),
            headers={
                "Content-Security-Policy": self._policy.replace("{{nonce}}", nonce),
                "Cache-Control": "no-store",
            },
        )


class ClosedExplorer(Explorer):
    """Says why there is no explorer: the server would refuse every document that is typed there."""

    def __init__(self) -> None:
        self._policy = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'"
        self._html = _CLOSED


_CLOSED = """<!doctype html>
<html lang="en">
  <head><meta charset="utf-8" /><title>The explorer is off</title></head>
  <body>
    <h1>The explorer is off</h1>
    <p>This server runs only the documents of its manifest (POSTERN_TRUSTED_DOCUMENTS_ONLY=on), so
    it would refuse every query that you type here. Use a server without this setting.</p>
  </body>
</html>
"""


def _wants_page(accept: str) -> bool:
    """Whether a page is wanted more than the API's own media types."""
    weights = parse_weights(accept)
    page = preference_for("text/html", weights)
    data = max(preference_for(media_type, weights) for media_type in (JSON, RESPONSE_JSON))
    return page[0] > 0 and "text/html" in weights and page >= data
