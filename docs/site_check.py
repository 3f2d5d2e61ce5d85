"""Opens every page of the built site in Chromium: `python -m docs.site_check site`.

Fails if a page names a script, a style, a font or an image of another host, asks any host but its
own for anything, reports an error, or if the search does not find what is there.
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
    """What pages and styles would load from elsewhere."""
    for file in sorted(site.rglob("*")):
        if file.suffix in {".html", ".css"}:
            for found in _LOADED.finditer(file.read_text(encoding="utf-8")):
                yield f"{file.relative_to(site)}: {next(filter(None, found.groups()))}"


def problems_in_chromium(site: Path) -> Iterator[str]:
    """What goes wrong when somebody reads all pages, and searches."""
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
    """Serves files without a line for each."""

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def _served(site: Path) -> Iterator[str]:
    handler = partial(_Quiet, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()


def main() -> None:
    """Checks the site in the folder that is named."""
    site = Path(sys.argv[1])
    pages = len(list(site.glob("*.html")))
    if pages < 2:
        sys.exit(f"{site} holds no site: build it first")
    problems = [*foreign_addresses(site), *problems_in_chromium(site)]
    if problems:
        sys.exit("\n".join(problems))
    sys.stdout.write(f"{pages} pages ask no other host for anything.\n")


if __name__ == "__main__":
    main()
