"""Cookies of the refresh token and of the device proofs.

Scripts cannot read them, and pages of other sites cannot use them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from starlette.requests import cookie_parser

from auth.devices import LIFETIME
from graph.errors.graphql_errors import BadUserInput

# A browser is a known device of the last users that signed in there.
MAX_DEVICE_PROOFS = 5
# No proof contains this character.
_SEPARATOR = "."


@dataclass(frozen=True, slots=True)
class CookiePolicy:
    """The names and attributes of the cookies, and the pages that may use them.

    Over https the names start with `__Host-`: browsers accept such a cookie from this host only,
    and over TLS only (RFC 6265bis, 4.1.3.2). Plain http, as on localhost, has other names.
    Browsers share cookies between the ports of a host, so the names contain the port of the public
    address: two servers on one host must not overwrite each other's cookies.
    """

    secure: bool
    allowed_origins: frozenset[str]
    port: int | None = None

    @property
    def name(self) -> str:
        """The name of the cookie with the refresh token."""
        return self._name("refresh")

    @property
    def device_name(self) -> str:
        """The name of the cookie with the device proofs."""
        return self._name("device")

    def _name(self, content: str) -> str:
        prefix = "__Host-" if self.secure else ""
        suffix = "" if self.port is None else f"_{self.port}"
        return f"{prefix}postern_{content}{suffix}"

    def read(self, headers: Mapping[bytes, bytes]) -> str | None:
        """Returns the refresh token of the cookie, if a page of an allowed origin sends it."""
        return self._read(headers, self.name)

    def read_device(self, headers: Mapping[bytes, bytes]) -> list[str]:
        """Returns the device proofs of the cookie, newest first, under the same condition."""
        value = self._read(headers, self.device_name) or ""
        return [proof for proof in value.split(_SEPARATOR) if proof][:MAX_DEVICE_PROOFS]

    def allows_page(self, headers: Mapping[bytes, bytes]) -> bool:
        """Returns whether a page of an allowed origin sent the request."""
        origin = headers.get(b"origin")
        return origin is not None and origin.decode("latin-1") in self.allowed_origins

    def _read(self, headers: Mapping[bytes, bytes], name: str) -> str | None:
        """Returns the value of a cookie, for pages of allowed origins only.

        Browsers add cookies to requests of all pages (CSRF), but pages cannot forge `Origin`.
        """
        if not self.allows_page(headers):
            return None
        # This parser is lenient: an invalid cookie of another application must not hide ours.
        return cookie_parser(headers.get(b"cookie", b"").decode("latin-1")).get(name)

    def write(self, refresh_token: str, lifetime: timedelta) -> str:
        """Returns the `Set-Cookie` value that stores the token."""
        return self._line(self.name, refresh_token, lifetime)

    def write_device(self, proofs: Sequence[str]) -> str:
        """Returns the `Set-Cookie` value that stores the device proofs."""
        return self._line(self.device_name, _SEPARATOR.join(proofs), LIFETIME)

    def clear(self) -> str:
        """Returns the `Set-Cookie` value that removes the token."""
        return self._line(self.name, "", timedelta())

    def _line(self, name: str, value: str, lifetime: timedelta) -> str:
        secure = "; Secure" if self.secure else ""
        max_age = int(lifetime.total_seconds())
        return f"{name}={value}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Strict{secure}"


@dataclass(slots=True)
class CookieJar:
    """The cookies of one request, and those that its reply sets.

    An operation over a socket cannot set cookies.
    """

    policy: CookiePolicy
    refresh_token: str | None
    headers: Mapping[bytes, bytes] = field(default_factory=dict, repr=False)
    set_cookie: str | None = field(default=None, repr=False)
    set_device_cookie: str | None = field(default=None, repr=False)
    can_be_set: bool = True

    @property
    def device_proofs(self) -> list[str]:
        """Proofs that this browser has signed in before: device proofs and refresh token."""
        proofs = self.policy.read_device(self.headers)
        return [*proofs, self.refresh_token] if self.refresh_token else proofs

    @property
    def may_store_device(self) -> bool:
        """True if the reply can set cookies and goes to a page of an allowed origin."""
        return self.can_be_set and self.policy.allows_page(self.headers)

    def check_can_be_set(self) -> None:
        """Raises BadUserInput if the reply cannot set cookies."""
        if not self.can_be_set:
            raise BadUserInput(
                "A cookie cannot be set over a WebSocket. Send this operation over HTTP, or use"
                " the refresh token in the body."
            )

    def store(self, refresh_token: str, lifetime: timedelta) -> None:
        """Stores the token in the browser. Raises BadUserInput."""
        self.check_can_be_set()
        self.set_cookie = self.policy.write(refresh_token, lifetime)

    def store_device(self, proofs: Sequence[str]) -> None:
        """Stores these device proofs in the browser, newest first; replaces all others."""
        self.set_device_cookie = self.policy.write_device(proofs[:MAX_DEVICE_PROOFS])

    def clear(self) -> None:
        """Removes the token from the browser. The device proofs stay; they cannot sign in."""
        self.set_cookie = self.policy.clear()
