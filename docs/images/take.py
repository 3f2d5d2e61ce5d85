"""Takes the picture of the README from a running server: `python -m docs.images.take`."""

import tempfile
from pathlib import Path

from tests.browser.chromium import visit
from tests.browser.explorer import open_explorer, play, sign_in
from tests.processes import running_server

PICTURE = Path(__file__).with_name("explorer.png")


def main() -> None:
    """Signs alice in, asks for her, and takes the picture."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_server(Path(folder), {"POSTERN_ENVIRONMENT": "development"}) as server,
        visit() as browser,
    ):
        open_explorer(browser.page, server.base_url)
        sign_in(browser.page)
        play(browser.page, "Me")
        browser.page.screenshot(path=PICTURE)


if __name__ == "__main__":
    main()
