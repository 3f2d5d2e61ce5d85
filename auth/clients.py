"""The client of a request: its network address and user agent."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Client:
    """The sender of a request, as the session list and the audit log show it.

    Never use it for a security decision: clients can send any user agent, and many users can share
    one address.
    """

    address: str | None = None
    user_agent: str | None = None


CONSOLE = Client(user_agent="console")
HOUSEKEEPING = Client(user_agent="housekeeping")
