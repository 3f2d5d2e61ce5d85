"""Origins as browsers send them."""

import pytest

from server.origins import browser_origin
from server.settings import Settings


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://app.example.com", "https://app.example.com"),
        ("HTTPS://App.Example.COM", "https://app.example.com"),
        ("https://app.example.com:443", "https://app.example.com"),
        ("https://app.example.com:8443", "https://app.example.com:8443"),
        ("http://localhost:80", "http://localhost"),
        ("http://localhost:5173", "http://localhost:5173"),
        ("https://app.example.com/", "https://app.example.com"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("https://straße.example", "https://xn--strae-oqa.example"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("ionic://localhost", "ionic://localhost"),
        ("tauri://localhost", "tauri://localhost"),
        ("app://obsidian.md", "app://obsidian.md"),
        ("app://.", "app://."),
        (
            "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
            "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
        ),
        (
            "moz-extension://3c4b0a1e-0000-4000-8000-000000000000",
            "moz-extension://3c4b0a1e-0000-4000-8000-000000000000",
        ),
        ("vscode-webview://1a2b", "vscode-webview://1a2b"),
    ],
)
def test_origin_is_written_as_browsers_send_it(text: str, origin: str) -> None:
    assert browser_origin(text) == origin


@pytest.mark.parametrize(
    "text",
    [
        "", "*", "null", "https://", "https://*", "https://*.example.com", "app.example.com",
        "https://app.example.com/path", "https://app.example.com?x", "https://app.example.com#x",
        "https://user@app.example.com", "https://[", "https://app.example.com:99999",
        "capacitor://", "capacitor://*", "capacitor://localhost/path", "file:///index.html",
        "file://localhost", "data://x", "blob://x", "javascript://x", "wss://app.example.com",
        "https://app example.com", "https://a.example,https://b.example",
    ],
)  # fmt: skip
def test_text_that_is_not_an_origin_is_refused(text: str) -> None:
    assert browser_origin(text) is None


def test_settings_compare_origins_as_browsers_write_them() -> None:
    settings = Settings.model_validate(
        {
            "public_url": "HTTPS://Auth.Example.com:443/",
            "cors_origins": "HTTPS://App.Example.com:443, capacitor://localhost",
        }
    )
    assert settings.cors_origins == ("https://app.example.com", "capacitor://localhost")
    assert "https://auth.example.com" in settings.own_origins
