"""Serves the files of the explorer, which `make explorer` builds from `explorer/`.

File names contain a hash of the content, so browsers may cache the files forever. Each file is
compressed at build time, because compressing megabytes per request would block the event loop.
"""

from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from graph.negotiation import parse_weights

FOLDER = Path(__file__).with_name("built")
PAGE = FOLDER / "index.html"

# Explicit, because the types of `mimetypes` depend on the machine.
_CONTENT_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".ttf": "font/ttf",
}


def is_built() -> bool:
    """Returns whether the explorer is built."""
    return PAGE.is_file()


def file_routes() -> list[Route]:
    """Returns a route for the files; none if the explorer is not built.

    Only names that existed at startup are served, so no path can leave the folder.
    """
    if not is_built():
        return []
    served = {path.name: path for path in FOLDER.iterdir() if path.suffix in _CONTENT_TYPES}

    async def file(request: Request) -> Response:
        path = served.get(request.path_params["name"])
        if path is None:
            raise HTTPException(404)
        return _reply(path, compressed=accepts_gzip(request.headers.get("accept-encoding", "")))

    return [Route("/explorer/{name}", file, methods=["GET"])]


def accepts_gzip(accept_encoding: str) -> bool:
    """Returns whether the client accepts gzip (RFC 9110, 12.5.3)."""
    return parse_weights(accept_encoding).get("gzip", 0.0) > 0


def _reply(path: Path, *, compressed: bool) -> FileResponse:
    content_type = _CONTENT_TYPES[path.suffix]
    headers = {
        "Content-Type": content_type,
        "Cache-Control": "public, max-age=31536000, immutable",
        "Vary": "Accept-Encoding",
    }
    gzipped = path.with_name(f"{path.name}.gz")
    if compressed and gzipped.is_file():
        headers["Content-Encoding"] = "gzip"
        path = gzipped
    return FileResponse(path, media_type=content_type, headers=headers)
