"""Origins as browsers write them in the `Origin` header (RFC 6454, 6.2)."""

import re
from urllib.parse import urlsplit

import idna

_DEFAULT_PORTS = {"http": 80, "https": 443}
# Apps in a web view and browser extensions: capacitor://localhost, chrome-extension://id.
_APP_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9._-]+(:\d{1,5})?")
# Pages with these schemes have the origin `null`, or the same origin as every local file.
_WITHOUT_ORIGIN = ("about", "blob", "data", "file", "filesystem", "javascript", "ws", "wss")


def browser_origin(text: str) -> str | None:
    """Returns the origin as a browser sends it, or None if the text is not an origin.

    Scheme and host become lower case, IDNs become ASCII, the default port and a slash at the end
    are removed. Text with a path, query, user or wildcard is not an origin.
    """
    try:
        url = urlsplit(text.strip())
        port = url.port
    except ValueError:
        return None
    if url.path.strip("/") or url.query or url.fragment or "@" in url.netloc or not url.hostname:
        return None
    if url.scheme not in _DEFAULT_PORTS:
        return _app_origin(f"{url.scheme}://{url.netloc.lower()}", url.scheme)
    host = _ascii_host(url.hostname)
    if host is None:
        return None
    is_default = port in {None, _DEFAULT_PORTS[url.scheme]}
    return f"{url.scheme}://{host}" + ("" if is_default else f":{port}")


def origin_of(address: str) -> str:
    """Returns the origin of the pages at this URL."""
    url = urlsplit(address)
    return browser_origin(f"{url.scheme}://{url.netloc}") or address


def _app_origin(origin: str, scheme: str) -> str | None:
    if scheme in _WITHOUT_ORIGIN or not _APP_ORIGIN.fullmatch(origin):
        return None
    return origin


def _ascii_host(host: str) -> str | None:
    if ":" in host:
        return f"[{host}]"
    if host.isascii():
        return host if re.fullmatch(r"[a-z0-9._-]+", host) else None
    try:
        return idna.encode(host, uts46=True).decode()
    except idna.IDNAError:
        return None
