"""docs/files.md is current; after a change, run `make docs`."""

from docs import file_list
from tests.docs.markdown import ROOT


def test_list_of_files_is_current() -> None:
    assert (ROOT / "docs" / "files.md").read_text(encoding="utf-8") == file_list.page()


def test_each_file_of_a_package_is_listed() -> None:
    page = file_list.page()
    files = [
        path
        for package in file_list.PACKAGES
        for path in (ROOT / package).glob("*.py")
        if path.name != "__init__.py"
    ]
    assert len(files) > 100
    assert [path for path in files if f"](../{path.relative_to(ROOT)})" not in page] == []
