"""Limits and budgets of the throttle. docs/security.md explains the figures.

A budget is a limit for one key: a name, a network, a device or an account. The name of a limit is
part of the key that is stored, so a limit that is renamed starts from zero.
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
    """The number of failures without a delay, how they decay, and how long the delays are.

    The weight of a failure halves once per `half_life`. Each failure past the free ones doubles
    the delay, from `shortest` up to `longest`.
    """

    name: str
    free: float
    half_life: timedelta
    longest: timedelta
    shortest: timedelta = _SECOND
    # Whether a success resets the failures. Only if no other client shares the budget.
    reset_by_success: bool = False
    # Whether attempts in flight are counted. If not, no row is locked before a failure.
    counts_in_flight: bool = True

    def delay_after(self, failures: float) -> timedelta:
        """Returns the delay before the next attempt."""
        past = failures - self.free
        # With tolerance: the free failures decay slightly while they are made.
        if past < -0.25:
            return timedelta()
        # Bounded, since a timedelta overflows.
        delay: timedelta = self.shortest * 2 ** min(max(past, 0.0), 30.0)
        return min(delay, self.longest)


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit, and the key that it is counted for."""

    limit: Limit
    key: str


# Sign-ins from a known device: counted for that device and account only.
DEVICE = Limit("device", free=10, half_life=6 * _HOUR, longest=_HOUR, reset_by_success=True)
# Sign-ins from unknown devices by the name that was typed, in one network and in all networks.
NAME_IN_NETWORK = Limit(
    "name here", free=10, half_life=6 * _HOUR, longest=_HOUR, reset_by_success=True
)
NAME = Limit("name", free=20, half_life=12 * _HOUR, longest=_HOUR)
# Sign-ins from unknown devices in one network, which many users may share.
NETWORK = Limit("network", free=100, half_life=_HOUR, longest=15 * _MINUTE)
SITE = Limit("site", free=300, half_life=_HOUR, longest=15 * _MINUTE)

# The current password, which an attacker with a stolen session may try to guess.
REAUTHENTICATION = Limit(
    "reauthentication", free=10, half_life=6 * _HOUR, longest=_HOUR, reset_by_success=True
)

# The password that is typed on the page of a link.
LINK_PASSWORD = Limit(
    "link password", free=10, half_life=6 * _HOUR, longest=_HOUR, reset_by_success=True
)

# New accounts; each costs a hash and a row.
REGISTRATION = Limit("registration", free=100, half_life=2 * _HOUR, longest=15 * _MINUTE)
REGISTRATION_SITE = Limit("registration site", free=300, half_life=2 * _HOUR, longest=15 * _MINUTE)

# Emails that anyone can cause to an address, by `register` and `requestEmailChange`.
EMAIL = Limit("mail", free=3, half_life=2 * _HOUR, shortest=_MINUTE, longest=_HOUR)
EMAIL_NETWORK = Limit("mail network", free=30, half_life=_HOUR, longest=15 * _MINUTE)
EMAIL_SITE = Limit("mail site", free=100, half_life=_HOUR, longest=15 * _MINUTE)
EMAIL_CHANGE = Limit("email change", free=5, half_life=2 * _HOUR, shortest=_MINUTE, longest=_HOUR)

# Emails with a link that an admin causes: invitations, new accounts, changed addresses, required
# resets. Per admin, so that a stolen token cannot be used to flood addresses, and per address.
ADMIN_EMAIL = Limit("operator mail", free=300, half_life=2 * _HOUR, longest=15 * _MINUTE)
ADMIN_EMAIL_TO = Limit(
    "operator mail to", free=3, half_life=2 * _HOUR, shortest=_MINUTE, longest=_HOUR
)

# Links for a forgotten password. A request during the delay succeeds and sends nothing, since the
# link that was sent before still works for at least half an hour.
RESET = Limit("reset", free=3, half_life=6 * _HOUR, shortest=_MINUTE, longest=30 * _MINUTE)
# For requests from a network past its limit: an address gets a link only if none was sent to it in
# the last half hour. A link that was sent then works for another half hour.
RESET_REDUCED = replace(RESET, free=0, shortest=30 * _MINUTE)
RESET_NETWORK = Limit("reset network", free=30, half_life=_HOUR, longest=_MINUTE)
RESET_SITE = Limit("reset site", free=100, half_life=_HOUR, longest=_MINUTE)
# Links to verify the address of an account, which only its user can request.
VERIFICATION = Limit(
    "verification", free=3, half_life=2 * _HOUR, shortest=_MINUTE, longest=30 * _MINUTE
)

# Edits by users of their own profile. Each adds an audit event.
PROFILE = Limit("profile", free=30, half_life=_HOUR, longest=_HOUR)
# Exports by users of their own data, which are expensive.
EXPORT = Limit("export", free=5, half_life=2 * _HOUR, longest=_HOUR)


def unknown_devices_limit(failures_per_hour: int) -> Limit:
    """Returns the limit for the failures of all unknown devices together."""
    # A constant rate converges to rate * half-life / ln 2.
    free = failures_per_hour * 1.4427
    return Limit("everywhere", free, half_life=_HOUR, longest=10 * _SECOND, counts_in_flight=False)


def name_budgets(username: str, address: str | None) -> list[Budget]:
    """Returns the budgets of sign-ins with a name, whether or not an account has it."""
    name = lookup_key(username) or ""
    return [Budget(NAME_IN_NETWORK, f"{name}\0{network_of(address)}"), Budget(NAME, name)]


def device_budget(user_id: UUID, device: str) -> Budget:
    """Returns the budget of sign-ins to an account from a known device."""
    return Budget(DEVICE, f"{user_id} {device}")


def reset_budgets(email: str | None) -> list[Budget]:
    """Returns the budgets of password reset links to an address.

    Reset them when the links that were sent become invalid, since the next request must send one.
    """
    return [Budget(RESET, canonical(email))] if email else []


def reduced_reset_budget(email: str) -> Budget:
    """Returns the reset budget for a request from a network past its limit."""
    return Budget(RESET_REDUCED, canonical(email))


def email_budgets(email: str, client_address: str | None) -> list[Budget]:
    """Returns the budgets of an email that anyone can cause: by address and by network."""
    networks = network_budgets(EMAIL_NETWORK, EMAIL_SITE, client_address)
    return [Budget(EMAIL, canonical(email)), *networks]


def admin_email_budgets(admin_id: UUID, email: str) -> list[Budget]:
    """Returns the budgets of emails with a link that an admin causes to an address."""
    return [Budget(ADMIN_EMAIL, str(admin_id)), Budget(ADMIN_EMAIL_TO, canonical(email))]


def network_budgets(network: Limit, site: Limit, address: str | None) -> list[Budget]:
    """Returns the budgets of the network of a client, and of its /48 if the client uses IPv6."""
    budgets = [Budget(network, network_of(address))]
    if prefix := site_of(address):
        budgets.append(Budget(site, prefix))
    return budgets


@lru_cache(maxsize=1024)
def network_of(address: str | None) -> str:
    """Returns the network of a client: an IPv4 address, or the /64 of an IPv6 address."""
    parsed = _parse(address)
    if parsed is None:
        return "unknown"
    return str(IPv6Network((parsed, 64), strict=False) if parsed.version == 6 else parsed)


@lru_cache(maxsize=1024)
def site_of(address: str | None) -> str | None:
    """Returns the /48 of an IPv6 address, which holds 65,536 networks; None for IPv4."""
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
