"""The refresh token as a cookie: scripts cannot read it, other sites cannot use it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from starlette.requests import cookie_parser

from graph.errors import BadUserInput


@dataclass(frozen=True, slots=True)
class CookiePolicy:
    """How the cookie is set, and the pages that may use it.

    Over https the name begins with `__Host-`: a browser takes such a cookie from this host only,
    and over TLS only (RFC 6265bis, 4.1.3.2). Plain http, as on localhost, has another name.
    Cookies do not know ports, so the name has the port of the public address, if there is one:
    two servers on one host must not overwrite each other's cookie.
    """

    secure: bool
    allowed_origins: frozenset[str]
    port: int | None = None

    @property
    def name(self) -> str:
        """The name of the cookie."""
        prefix = "__Host-" if self.secure else ""
        suffix = "" if self.port is None else f"_{self.port}"
        return f"{prefix}postern_refresh{suffix}"

    def read(self, headers: Mapping[bytes, bytes]) -> str | None:
        """The refresh token of the cookie, where a page of an allowed origin sends it.

        A browser adds cookies to requests that other pages make; it also says which page that was,
        and pages cannot lie about it.
        """
        origin = headers.get(b"origin")
        if origin is None or origin.decode("latin-1") not in self.allowed_origins:
            return None
        # Lenient, as browsers are: another application's odd cookie must not hide ours.
        return cookie_parser(headers.get(b"cookie", b"").decode("latin-1")).get(self.name)

    def write(self, refresh_token: str, lifetime: timedelta) -> str:
        """The `Set-Cookie` line that stores the token."""
        return self._line(refresh_token, int(lifetime.total_seconds()))

    def clear(self) -> str:
        """The `Set-Cookie` line that removes the token."""
        return self._line("", 0)

    def _line(self, value: str, max_age: int) -> str:
        secure = "; Secure" if self.secure else ""
        return f"{self.name}={value}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Strict{secure}"


@dataclass(slots=True)
class CookieJar:
    """The cookie of one request: what came in, and what goes out with the reply.

    An operation over a socket has no reply that could set a cookie.
    """

    policy: CookiePolicy
    refresh_token: str | None
    set_cookie: str | None = field(default=None)
    can_be_set: bool = True

    def check_can_be_set(self) -> None:
        """Raises BadUserInput where a cookie cannot be set."""
        if not self.can_be_set:
            raise BadUserInput(
                "A cookie cannot be set over a WebSocket. Send this operation over HTTP, or use"
                " the refresh token in the body."
            )

    def store(self, refresh_token: str, lifetime: timedelta) -> None:
        """Gives the browser this token in place of any other."""
        self.check_can_be_set()
        self.set_cookie = self.policy.write(refresh_token, lifetime)

    def clear(self) -> None:
        """Takes the token from the browser."""
        self.set_cookie = self.policy.clear()
