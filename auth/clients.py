"""Where a request comes from."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Client:
    """The other end of a request: shown to the owner of a session and in the audit trail.

    Never trusted: an agent says what it likes, and an address may be shared by a city.
    """

    address: str | None = None
    user_agent: str | None = None


CONSOLE = Client(user_agent="console")
# Nobody asked: it is done by the clock.
HOUSEKEEPING = Client(user_agent="housekeeping")
