"""Serves the page of the explorer to browsers, at the URL of the API.

If the explorer is not built (`make explorer`), the page loads GraphiQL from a CDN.
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

# Scripts need the nonce of the response. GraphiQL's editor writes style attributes.
_POLICY_OF_CDN_PAGE = (
    "default-src 'none'; script-src 'nonce-{{nonce}}'; "
    f"style-src 'unsafe-inline' {_CDN}; font-src data:; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# The editor writes style elements, and its style sheet contains fonts as `data:`.
_POLICY_OF_BUILT_PAGE = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self' 'unsafe-inline'; "
    "font-src 'self' data:; img-src 'self' data:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)


class Explorer:
    """The page with GraphiQL. `username` and `password` are filled in.

    With `schema_needs_account`, the page loads the schema only after sign-in.
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
        """Returns whether the request is from a browser that opens the page."""
        return (
            scope["method"] == "GET"
            and b"query=" not in scope["query_string"]
            and _wants_page(headers.get(b"accept", b"").decode("latin-1"))
        )

    def page(self) -> HTMLResponse:
        """Returns the page with a new nonce."""
        nonce = secrets.token_urlsafe(16)
        return HTMLResponse(
            self._html.replace("{{nonce}}", nonce),
            headers={
                "Content-Security-Policy": self._policy.replace("{{nonce}}", nonce),
                "Cache-Control": "no-store",
            },
        )


class ClosedExplorer(Explorer):
    """A page without GraphiQL, because the server allows only trusted documents."""

    def __init__(self) -> None:
        self._policy = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'"
        self._html = _CLOSED


_CLOSED = """<!doctype html>
<html lang="en">
  <head><meta charset="utf-8" /><title>The explorer is off</title></head>
  <body>
    <h1>The explorer is off</h1>
    <p>This server runs only trusted documents (POSTERN_TRUSTED_DOCUMENTS_ONLY=on), so it would
    refuse your queries. Use a server without this setting.</p>
  </body>
</html>
"""


def _wants_page(accept: str) -> bool:
    """Returns whether the client prefers HTML to the media types of the API."""
    weights = parse_weights(accept)
    html = preference_for("text/html", weights)
    api = max(preference_for(media_type, weights) for media_type in (JSON, RESPONSE_JSON))
    return html[0] > 0 and "text/html" in weights and html >= api
