"""The list of files is that of the repository; after a change, `make docs`."""

from docs import file_list
from tests.docs.markdown import ROOT


def test_the_list_of_files_has_not_drifted() -> None:
    assert (ROOT / "docs" / "files.md").read_text(encoding="utf-8") == file_list.page()


def test_every_file_of_a_package_says_what_it_is_for() -> None:
    page = file_list.page()
    files = [
        path
        for package in file_list.PACKAGES
        for path in (ROOT / package).glob("*.py")
        if path.name != "__init__.py"
    ]
    assert len(files) > 100
    assert [path for path in files if f"](../{path.relative_to(ROOT)})" not in page] == []
