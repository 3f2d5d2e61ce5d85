"""Marks that skip a test if Node.js or npm packages are missing."""

import shutil
from pathlib import Path

import pytest

NODE = shutil.which("node")

needs_node = pytest.mark.skipif(NODE is None, reason="Node.js is not installed")

_ROOT = Path(__file__).parents[1]


def needs_packages_of(folder: Path) -> pytest.MarkDecorator:
    """Returns the mark of a test that needs the npm packages of a folder."""
    return pytest.mark.skipif(
        not (folder / "node_modules").exists(),
        reason=f"run `npm ci` in {folder.relative_to(_ROOT)} first",
    )
