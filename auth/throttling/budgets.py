"""What is throttled, for whom, and how fast it is forgotten. docs/security.md explains the figures.

A budget is a limit together with whom it is counted for. Budgets of different limits never touch
each other, whatever their names are.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from uuid import UUID

from auth.names import canonical, lookup_key

_SECOND, _MINUTE, _HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Limit:
    """How many failures are free, how they decay, and how long the delays become.

    Each failure halves in weight once per `half_life`. Past the free ones, each failure more
    doubles the delay, from `shortest` up to `longest`.
    """

    name: str
    free: float
    half_life: timedelta
    longest: timedelta
    shortest: timedelta = _SECOND
    # Whether a success forgives the failures: only where no stranger shares the budget.
    forgiven_by_success: bool = False
    # Whether attempts in flight are counted. Without it nothing is locked before a failure.
    counts_in_flight: bool = True

    def delay_after(self, failures: float) -> timedelta:
        """How long the next attempt has to wait."""
        past = failures - self.free
        # With tolerance: the free ones decay a little while they are made.
        if past < -0.25:
            return timedelta()
        # Two to the power of many is not a number of seconds.
        delay: timedelta = self.shortest * 2 ** min(max(past, 0.0), 30.0)
        return min(delay, self.longest)


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit, and whose failures are counted against it."""

    limit: Limit
    whose: str


# Sign-ins from a device that has proved itself: counted for that device and account alone.
DEVICE = Limit("device", free=10, half_life=6 * _HOUR, longest=_HOUR, forgiven_by_success=True)
# Sign-ins from unknown devices, by the name that was typed, from one network and from all.
NAME_IN_NETWORK = Limit(
    "name here", free=10, half_life=6 * _HOUR, longest=_HOUR, forgiven_by_success=True
)
NAME = Limit("name", free=20, half_life=12 * _HOUR, longest=_HOUR)
# Sign-ins from unknown devices of one network, under whatever name: many people may share it.
NETWORK = Limit("network", free=100, half_life=_HOUR, longest=15 * _MINUTE)
SITE = Limit("site", free=300, half_life=_HOUR, longest=15 * _MINUTE)

# The current password, which a stolen session may guess at.
REAUTHENTICATION = Limit(
    "reauthentication", free=10, half_life=6 * _HOUR, longest=_HOUR, forgiven_by_success=True
)

# The password that is typed on the page of a link.
LINK_PASSWORD = Limit(
    "link password", free=10, half_life=6 * _HOUR, longest=_HOUR, forgiven_by_success=True
)

# New accounts; each costs a hash and a row.
REGISTRATION = Limit("registration", free=100, half_life=2 * _HOUR, longest=15 * _MINUTE)
REGISTRATION_SITE = Limit("registration site", free=300, half_life=2 * _HOUR, longest=15 * _MINUTE)

# Emails that a stranger can have sent to an address: by `register` and by `requestEmailChange`.
MAIL = Limit("mail", free=3, half_life=2 * _HOUR, shortest=_MINUTE, longest=_HOUR)
MAIL_NETWORK = Limit("mail network", free=30, half_life=_HOUR, longest=15 * _MINUTE)
MAIL_SITE = Limit("mail site", free=100, half_life=_HOUR, longest=15 * _MINUTE)
EMAIL_CHANGE = Limit("email change", free=5, half_life=2 * _HOUR, shortest=_MINUTE, longest=_HOUR)

# Emails with a link that an operator has sent: invitations, new accounts, other addresses, forced
# resets. By operator, so that a stolen token sends no flood, and by address.
OPERATOR_MAIL = Limit("operator mail", free=300, half_life=2 * _HOUR, longest=15 * _MINUTE)
OPERATOR_MAIL_TO = Limit(
    "operator mail to", free=3, half_life=2 * _HOUR, shortest=_MINUTE, longest=_HOUR
)

# Links for a forgotten password. A request during the pause sends nothing and succeeds: the link
# that was sent before it works for half an hour at least.
RESET = Limit("reset", free=3, half_life=6 * _HOUR, shortest=_MINUTE, longest=30 * _MINUTE)
# From a network that has passed its limit: an address gets a link only if none was sent to it in
# the last half hour. That one works for another half hour.
RESET_REDUCED = replace(RESET, free=0, shortest=30 * _MINUTE)
RESET_NETWORK = Limit("reset network", free=30, half_life=_HOUR, longest=_MINUTE)
RESET_SITE = Limit("reset site", free=100, half_life=_HOUR, longest=_MINUTE)
# Links to verify the address of an account, which only its owner can ask for.
VERIFICATION = Limit(
    "verification", free=3, half_life=2 * _HOUR, shortest=_MINUTE, longest=30 * _MINUTE
)

# Edits of the own profile, each of which adds an audit event.
PROFILE = Limit("profile", free=30, half_life=_HOUR, longest=_HOUR)
# Exports of the own data: each reads much.
EXPORT = Limit("export", free=5, half_life=2 * _HOUR, longest=_HOUR)


def unknown_devices_limit(failures_per_hour: int) -> Limit:
    """The limit for the failures of all unknown devices together."""
    # A rate that is kept up for ever adds up to rate * half-life / ln 2.
    free = failures_per_hour * 1.4427
    return Limit("everywhere", free, half_life=_HOUR, longest=10 * _SECOND, counts_in_flight=False)


def name_budgets(username: str, address: str | None) -> list[Budget]:
    """Sign-ins under a name, whether or not an account has it."""
    name = lookup_key(username) or ""
    return [Budget(NAME_IN_NETWORK, f"{name}\0{network_of(address)}"), Budget(NAME, name)]


def device_budget(user_id: UUID, device: str) -> Budget:
    """Sign-ins of one account from one device."""
    return Budget(DEVICE, f"{user_id} {device}")


def reset_budgets(email: str | None) -> list[Budget]:
    """Password reset links, which a stranger can have sent to an address.

    To be forgotten when the links that were sent stop working: the next request must send another.
    """
    return [Budget(RESET, canonical(email))] if email else []


def reduced_reset_budget(email: str) -> Budget:
    """The same budget, of which less is free."""
    return Budget(RESET_REDUCED, canonical(email))


def operator_email_budgets(operator_id: UUID, email: str) -> list[Budget]:
    """Emails with a link that an operator has sent to an address."""
    return [Budget(OPERATOR_MAIL, str(operator_id)), Budget(OPERATOR_MAIL_TO, canonical(email))]


def network_budgets(network: Limit, site: Limit, address: str | None) -> list[Budget]:
    """What is counted for the network of a client, and for the IPv6 /48 around it."""
    budgets = [Budget(network, network_of(address))]
    if around := site_of(address):
        budgets.append(Budget(site, around))
    return budgets


@lru_cache(maxsize=1024)
def network_of(address: str | None) -> str:
    """Whom an address stands for: IPv4 itself, of IPv6 the /64 that one customer gets."""
    parsed = _parse(address)
    if parsed is None:
        return "unknown"
    return str(IPv6Network((parsed, 64), strict=False) if parsed.version == 6 else parsed)


@lru_cache(maxsize=1024)
def site_of(address: str | None) -> str | None:
    """The IPv6 /48 of an address: 65,536 networks that one site may have. None for IPv4."""
    parsed = _parse(address)
    if parsed is None or parsed.version == 4:
        return None
    return str(IPv6Network((parsed, 48), strict=False))


def _parse(address: str | None) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return None
    if isinstance(parsed, IPv6Address):
        return parsed.ipv4_mapped or parsed
    return parsed
