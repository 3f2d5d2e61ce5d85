"""The files of the explorer, which `make explorer` builds out of `explorer/`.

A file's name has a hash of what is in it, so browsers keep it for ever. Each lies there compressed
too: to compress megabytes for every visitor would hold up everybody else.
"""

from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from graph.negotiation import parse_weights

FOLDER = Path(__file__).with_name("built")
PAGE = FOLDER / "index.html"

# Said here: what Python guesses depends on the machine.
_CONTENT_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".ttf": "font/ttf",
}


def is_built() -> bool:
    """Whether the explorer's files are there."""
    return PAGE.is_file()


def file_routes() -> list[Route]:
    """One route for all of them; none where they are not built.

    A name is looked up among those that were there at the start, so none leads out of the folder.
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
    """Whether the client understands gzip, and has not refused it (RFC 9110, 12.5.3)."""
    return parse_weights(accept_encoding).get("gzip", 0.0) > 0


def _reply(path: Path, *, compressed: bool) -> FileResponse:
    content_type = _CONTENT_TYPES[path.suffix]
    headers = {
        "Content-Type": content_type,
        "Cache-Control": "public, max-age=31536000, immutable",
        "Vary": "Accept-Encoding",
    }
    small = path.with_name(f"{path.name}.gz")
    if compressed and small.is_file():
        headers["Content-Encoding"] = "gzip"
        path = small
    return FileResponse(path, media_type=content_type, headers=headers)
