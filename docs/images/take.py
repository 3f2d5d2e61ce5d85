"""Takes the screenshots of the README from a running server: `python -m docs.images.take`."""

import tempfile
from pathlib import Path

from playwright.sync_api import Browser

from tests.browser import chromium
from tests.browser.explorer import Scheme, opened
from tests.processes import running_server

FOLDER = Path(__file__).parent
SCHEMES: tuple[Scheme, ...] = ("light", "dark")


def main() -> None:
    """Takes the explorer in light and dark colours."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_server(Path(folder), {"POSTERN_ENVIRONMENT": "development"}) as server,
        chromium.browser() as browser,
    ):
        for scheme in SCHEMES:
            take(browser, server.base_url, scheme)


def take(browser: Browser, base_url: str, scheme: Scheme) -> None:
    """Signs alice in, runs the query, opens the description of `me`, and takes the screenshot."""
    with opened(browser, base_url, scheme) as explorer:
        explorer.press("Sign in")
        explorer.wait_for_text("Signed in as alice.")
        explorer.page.click(".graphiql-execute-button")
        explorer.until(lambda shown: '"permissions"' in shown)
        explorer.hover_text("me")
        explorer.page.screenshot(path=FOLDER / f"explorer-{scheme}.png")


if __name__ == "__main__":
    main()
