"""Node.js and the packages of a folder: a test that needs them skips where they are missing."""

import shutil
from pathlib import Path

import pytest

NODE = shutil.which("node")

needs_node = pytest.mark.skipif(NODE is None, reason="no Node.js on this machine")

_ROOT = Path(__file__).parents[1]


def needs_packages_of(folder: Path) -> pytest.MarkDecorator:
    """The mark of a test that needs what `npm ci` installs in the folder."""
    return pytest.mark.skipif(
        not (folder / "node_modules").exists(),
        reason=f"run `npm ci` in {folder.relative_to(_ROOT)} first",
    )
