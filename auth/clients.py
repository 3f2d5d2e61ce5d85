"""The client of a request: its network address and user agent."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Client:
    """The sender of a request, as the session list and the audit log show it.

    It does not identify a user: clients can send any user agent, and users can share an address.
    """

    address: str | None = None
    user_agent: str | None = None


CONSOLE = Client(user_agent="console")
HOUSEKEEPING = Client(user_agent="housekeeping")
