"""The check of the built site finds resources of other hosts."""

from pathlib import Path

import pytest

from docs.site_check import foreign_addresses


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.html", '<script async src="https://cdn.example/x.js">', "https://cdn.example/x.js"),
        ("a.html", "<img alt=a src=//cdn.example/x.png>", "//cdn.example/x.png"),
        ("a.html", '<link rel="stylesheet" href="https://a.example/b">', "https://a.example/b"),
        ("a.css", "@font-face{src:url(https://a.example/f)}", "https://a.example/f"),
        ("a.css", '@import "https://a.example/b.css";', "https://a.example/b.css"),
        ("a.html", '<a href="https://elsewhere.example/">', None),
        ("a.html", '<link rel="canonical" href="https://docs.example/">', None),
        ("a.html", '<script src="assets/x.js">', None),
    ],
)
def test_resource_of_another_host_is_found(
    name: str, text: str, found: str | None, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert list(foreign_addresses(tmp_path)) == ([] if found is None else [f"{name}: {found}"])
