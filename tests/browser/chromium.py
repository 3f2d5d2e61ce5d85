"""Chromium that can reach only this machine."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route, sync_playwright

from tests.node import needs_packages_of

PACKAGES = Path(__file__).parent / "node_modules"
CDN = "unpkg.com"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
needs_packages = needs_packages_of(Path(__file__).parent)

_FOREIGN = re.compile(r"^(?!data:|blob:|https?://localhost[:/])")
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]


class Visit:
    """A page with its failed requests, requests to other hosts and reported errors."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.failed: list[str] = []
        self.foreign: list[str] = []
        self.reports: list[str] = []
        page.on("requestfailed", lambda request: self.failed.append(request.url))
        page.on("console", lambda message: self._add_report(message.type, message.text))
        page.on("pageerror", lambda error: self.reports.append(str(error)))
        page.route(_FOREIGN, self._answer)

    def _add_report(self, kind: str, text: str) -> None:
        if kind == "error" or "Content Security Policy" in text:
            self.reports.append(text)

    def _answer(self, route: Route) -> None:
        url = urlsplit(route.request.url)
        self.foreign.append(route.request.url)
        if url.hostname != CDN:
            route.abort()
            return
        # The page requires a hash of each file, so these files must equal those of the CDN.
        package = url.path[1:].replace("@18.2.0", "").replace("@3.8.3", "")
        route.fulfill(path=PACKAGES / package, headers={"Access-Control-Allow-Origin": "*"})


@contextmanager
def browser() -> Iterator[Browser]:
    """Starts a browser; each of its contexts has separate cookies."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def visit(*, width: int = 1280, height: int = 800) -> Iterator[Visit]:
    """Opens an empty page."""
    with browser() as opened:
        yield Visit(opened.new_page(viewport={"width": width, "height": height}))
