"""Opens each page of the built site in Chromium: `python -m docs.site_check site`.

Fails if a page uses a script, a style, a font or an image of another host, sends a request to
another host, or reports an error, or if the search finds nothing.
"""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from tests.browser.chromium import Visit, visit

WORD = "refresh"

_LOADED = re.compile(
    r"""<(?:script|img|iframe|source|video|audio|embed)\b[^>]*\bsrc=["']?((?:https?:)?//[^"'\s>]+)"""
    r"""|<link\b(?![^>]*rel=["']?canonical)[^>]*\bhref=["']?((?:https?:)?//[^"'\s>]+)"""
    r"""|(?:url\(|@import)\s*["']?((?:https?:)?//[^"'\s)]+)"""
)


def foreign_addresses(site: Path) -> Iterator[str]:
    """Yields the addresses of other hosts in pages and styles."""
    for file in sorted(site.rglob("*")):
        if file.suffix in {".html", ".css"}:
            for found in _LOADED.finditer(file.read_text(encoding="utf-8")):
                yield f"{file.relative_to(site)}: {next(filter(None, found.groups()))}"


def problems_in_chromium(site: Path) -> Iterator[str]:
    """Yields the problems of opening all pages, and of the search."""
    pages = sorted(site.glob("*.html"))
    with _served(site) as address, visit() as browser:
        for page in pages:
            browser.page.goto(f"{address}/{page.name}", wait_until="networkidle")
        yield from (f"another host: {url}" for url in browser.foreign)
        yield from (f"not loaded: {url}" for url in browser.failed)
        yield from (f"reported: {text}" for text in browser.reports)
        if not _search(browser, address):
            yield f"the search does not find {WORD!r}"


def _search(browser: Visit, address: str) -> bool:
    browser.page.goto(f"{address}/index.html", wait_until="networkidle")
    browser.page.keyboard.press("/")
    browser.page.keyboard.type(WORD)
    results = browser.page.locator(".md-search-result__link")
    results.first.wait_for(timeout=10_000)
    return any(WORD in text.lower() for text in results.all_inner_texts())


class _Quiet(SimpleHTTPRequestHandler):
    """Serves files without logging."""

    def log_message(self, *_: object) -> None:
        """Logs nothing."""


@contextmanager
def _served(site: Path) -> Iterator[str]:
    handler = partial(_Quiet, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()


def main() -> None:
    """Checks the site in a folder."""
    site = Path(sys.argv[1])
    pages = len(list(site.glob("*.html")))
    if pages < 2:
        sys.exit(f"{site} contains no site. Run `make site` first.")
    problems = [*foreign_addresses(site), *problems_in_chromium(site)]
    if problems:
        sys.exit("\n".join(problems))
    sys.stdout.write(f"{pages} pages use no other host.\n")


if __name__ == "__main__":
    main()
