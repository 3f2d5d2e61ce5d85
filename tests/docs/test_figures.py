"""The figures in the documentation match the code."""

from datetime import timedelta
from itertools import takewhile

import pytest

from auth.devices import LIFETIME as DEVICE_LIFETIME
from auth.mail_delivery.delivery import FAILED_AFTER, FIRST_RETRY_AFTER
from auth.passwords.hashing import PASSWORD_MAX_LENGTH, QUEUE_MAX_SECONDS
from auth.sessions import SessionPolicy
from auth.temporary_passwords import TEMPORARY_PASSWORD_LIFETIME
from auth.throttling import budgets
from auth.throttling.budgets import EMAIL, EMAIL_NETWORK, EMAIL_SITE, RESET_NETWORK, RESET_SITE
from auth.throttling.counters import LEASE
from auth.tokens import access_tokens as tokens
from auth.tokens import keys
from auth.tokens.jws import MAX_TOKEN_LENGTH
from auth.tokens.key_set import MAX_ACCESS_TOKEN_LIFETIME
from auth.tokens.link_tokens import LIFETIMES, Purpose
from auth.viewer_cache import MAX_AGE_SECONDS, MAX_VIEWERS
from graph.cookies import MAX_DEVICE_PROOFS
from graph.documents.operations import OperationPolicy
from graph.documents.preparation_budget import NETWORKS_PER_SITE, SHARE
from graph.documents.validation import MAX_DOCUMENT_ERRORS
from graph.http.unfinished import MAX_MUTATION_SECONDS, MAX_UNFINISHED
from graph.socket.channel import SocketPolicy
from models.database import STATEMENT_TIMEOUT_SECONDS
from models.postgresql_change_feed import CURRENT_FOR_SECONDS
from server.http.lingering import LEAST_READ_BYTES, MOST_DISCARDED_BYTES
from server.http.socket_protocol import FRAME_BURST, FRAMES_PER_SECOND, MAX_UNSENT_BYTES
from server.http.strict_protocol import HEAD_BYTES
from server.http.timed_protocol import LINGER_SECONDS
from server.settings import Settings
from tests.docs.markdown import ROOT

_WORDS = {2: "two", 3: "three", 5: "five", 7: "seven", 10: "ten", 20: "twenty"}
_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))

SESSIONS = SessionPolicy()
DOCUMENTS = OperationPolicy()
SOCKETS = SocketPolicy(frozenset(), per_address=200)


def default(name: str) -> int:
    """Returns the default of a setting."""
    value = Settings.model_fields[name].default
    assert isinstance(value, int | float)
    return int(value)


def word(number: float) -> str:
    """Returns a small number in words, as in prose."""
    return _WORDS.get(int(number), f"{int(number):,}")


def span(duration: timedelta) -> str:
    """Returns a duration in the largest unit that fits, in digits."""
    seconds = int(duration.total_seconds())
    size, unit = next((size, unit) for size, unit in _UNITS if not seconds % size)
    number = seconds // size
    return f"{number} {unit}" + ("s" if number > 1 else "")


def in_words(duration: timedelta) -> str:
    """Returns a duration in words."""
    number, _, unit = span(duration).partition(" ")
    article = "an" if unit == "hour" else "a"
    return f"{article} {unit}" if number == "1" else f"{word(int(number))} {unit}"


def short(duration: timedelta) -> str:
    """Returns a duration as in tables."""
    number, _, unit = span(duration).partition(" ")
    return f"{number} {'min' if unit.startswith('minute') else unit[0]}"


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def page(name: str) -> str:
    return " ".join((ROOT / name).read_text(encoding="utf-8").split())


SECURITY = [
    f"at most {in_words(MAX_ACCESS_TOKEN_LIFETIME)} ago",
    f"An access token has at most {tokens.ISSUED_MAX_LENGTH} characters",
    f"a flat header of text and at most {MAX_TOKEN_LENGTH} characters",
    f"publishes a new key {in_words(keys.PUBLISHED_BEFORE_USE)} before it signs",
    f"A key is replaced after {span(seconds(default('key_max_age')))} (`POSTERN_KEY_MAX_AGE`",
    f"Services may cache the JWKS for {in_words(keys.PUBLISHED_BEFORE_USE / 2)}",
    f"`POSTERN_SESSION_IDLE_TTL` ({span(SESSIONS.idle_lifetime)})",
    f"permissions; at most {MAX_VIEWERS:,})",
    f"in the last {in_words(seconds(CURRENT_FOR_SECONDS))} it does not use the cache",
    f"No entry is used for longer than {in_words(seconds(MAX_AGE_SECONDS))}",
    f"For {default('refresh_grace')} seconds after the commit of a refresh",
    f"A session ends after {span(SESSIONS.idle_lifetime)} without a refresh",
    f"Rows of sessions are deleted {span(SESSIONS.kept_after_end)} after the session ended",
    f"{int(SOCKETS.init_timeout_seconds)} seconds and {SOCKETS.early_messages} pings until",
    f"{SOCKETS.operations} operations at a time",
    f"{SOCKETS.message_bytes // 1024} KiB per message",
    f"{SOCKETS.message_burst} messages at once and {SOCKETS.messages_per_second:.0f} per second",
    f"{SOCKETS.per_user} sockets per user",
    f"{default('sockets_per_address')} sockets per network",
    f"reads nothing for {SOCKETS.send_timeout_seconds:.0f} seconds while data waits",
    f"{FRAME_BURST} frames at once and {FRAMES_PER_SECOND:.0f} per second",
    f"not answered while {MAX_UNSENT_BYTES // 1024} KiB are unsent",
    f"An attempt whose process dies stops counting after {span(LEASE)}",
    f"for {span(DEVICE_LIFETIME)}. Like the refresh cookie",
    f"It holds up to {word(MAX_DEVICE_PROOFS)} accounts",
    f"has a budget of {word(budgets.REAUTHENTICATION.free)} per session",
    f"`updateProfile` may be called {budgets.PROFILE.free:.0f} times at once and about 20 times",
    f"`exportAccount` may be called {word(budgets.EXPORT.free)} times at once",
    (
        f"**Registrations** count per network ({budgets.REGISTRATION.free:.0f} free, half-life"
        f" {span(budgets.REGISTRATION.half_life)}) and per IPv6 /48"
        f" ({budgets.REGISTRATION_SITE.free:.0f})"
    ),
    (
        f"Each address gets {word(budgets.RESET.free)} emails at once, then one per pause of"
        f" 1, 2, 4 … {span(budgets.RESET.longest)}"
    ),
    (
        f"asks for more than {RESET_NETWORK.free:.0f} addresses in an hour (an IPv6 /48 more than"
        f" {RESET_SITE.free:.0f})"
    ),
    f"and {budgets.ADMIN_EMAIL.free:.0f} per admin at once",
    (
        f"(`requestEmailVerification`): {word(budgets.VERIFICATION.free)}, then a pause of 1 to"
        f" {span(budgets.VERIFICATION.longest)}"
    ),
    (
        f"{word(EMAIL.free)} per address, then one per pause of {span(EMAIL.shortest)} to"
        f" {span(EMAIL.longest)}"
    ),
    f"{EMAIL_NETWORK.free:.0f} per network in an hour, {EMAIL_SITE.free:.0f} per IPv6",
    f"{word(budgets.EMAIL_CHANGE.free)} changes per account",
    (
        f"once, for {in_words(LIFETIMES[Purpose.PASSWORD_RESET])} "
        f"({in_words(LIFETIMES[Purpose.EMAIL_VERIFICATION])} to verify an address, a week for an"
    ),
    f"waits for that version, for {in_words(FAILED_AFTER)}",
    f"with cost {default('bcrypt_cost')}",
    f"A password has at least {default('password_min_length')} characters",
    f"at most {PASSWORD_MAX_LENGTH}. It is not one of about 16,000 common ones",
    f"only for {in_words(TEMPORARY_PASSWORD_LIFETIME)}",
    f"beyond {in_words(seconds(QUEUE_MAX_SECONDS))} of work a sign-in is refused",
    f"may spend {DOCUMENTS.preparation_seconds:.0f} seconds of processor time",
    f"an IPv6 /48 may spend {DOCUMENTS.preparation_seconds * NETWORKS_PER_SITE:.0f} seconds",
    f"the first {word(MAX_DOCUMENT_ERRORS)} errors are reported",
    f"Bodies have at most {default('max_body_bytes'):,} bytes",
    f"Heads and trailers of {HEAD_BYTES // 1024} KiB are accepted",
    f"up to {MOST_DISCARDED_BYTES // 1_000_000} MB and {LINGER_SECONDS:.0f} seconds",
    f"A client has {default('request_timeout')} seconds for the head of a request",
    f"each {LEAST_READ_BYTES // 1024} KiB of a reply",
    f"silent for {STATEMENT_TIMEOUT_SECONDS} seconds",
    (
        f"At most {MAX_UNFINISHED} operations continue like that, each for at most"
        f" {in_words(seconds(MAX_MUTATION_SECONDS))}"
    ),
]

OTHER_PAGES = [
    ("docs/sign-in.md", f"ends after {span(SESSIONS.idle_lifetime)} without a refresh"),
    ("docs/sign-in.md", f"within {default('refresh_grace')} seconds get the same successor"),
    ("docs/accounts.md", f"After {in_words(TEMPORARY_PASSWORD_LIFETIME)} `login` returns"),
    ("docs/email.md", f"again after {span(FIRST_RETRY_AFTER)}, then 20"),
    ("docs/email.md", f"After {in_words(FAILED_AFTER)} the email has failed"),
    ("docs/operation.md", f"by themselves every {span(seconds(default('key_max_age')))}"),
]


@pytest.mark.parametrize("phrase", SECURITY)
def test_figure_of_the_security_page_matches_the_code(phrase: str) -> None:
    assert phrase in page("docs/security.md")


@pytest.mark.parametrize(("name", "phrase"), OTHER_PAGES)
def test_figure_of_a_page_matches_the_code(name: str, phrase: str) -> None:
    assert phrase in page(name)


def test_share_of_the_preparation_budget_is_a_tenth() -> None:
    assert SHARE == 0.1
    assert "a tenth of a core" in page("docs/security.md")


BUDGETS = {
    "known device and account": budgets.DEVICE,
    "typed name, from one network": budgets.NAME_IN_NETWORK,
    "typed name, from all networks": budgets.NAME,
    "network (an IPv4 address, an IPv6 /64)": budgets.NETWORK,
    "IPv6 /48": budgets.SITE,
    "all unknown devices (`POSTERN_FAILED_LOGINS_PER_HOUR`)": budgets.unknown_devices_limit(
        default("failed_logins_per_hour")
    ),
}


def throttling_table() -> dict[str, tuple[str, str, str]]:
    """Returns the sign-in budgets of the page; "the same" is the delay of the row above."""
    lines = (ROOT / "docs" / "security.md").read_text(encoding="utf-8").splitlines()
    first = lines.index("| budget | free failures | half-life | delay |") + 2
    table: dict[str, tuple[str, str, str]] = {}
    delay = ""
    for line in takewhile(lambda line: line.startswith("|"), lines[first:]):
        name, free, half_life, stated = (cell.strip() for cell in line.strip("|").split("|"))
        delay = delay if stated == "the same" else stated
        table[name] = (free, half_life, delay)
    return table


def test_throttling_table_has_each_budget_of_sign_ins() -> None:
    assert list(throttling_table()) == list(BUDGETS)


@pytest.mark.parametrize("name", BUDGETS)
def test_row_of_the_throttling_table_matches_the_code(name: str) -> None:
    limit = BUDGETS[name]
    free, half_life, delay = throttling_table()[name]
    per_hour = f"{default('failed_logins_per_hour'):,} per hour"
    assert free == (per_hour if limit.name == "everywhere" else f"{limit.free:.0f}")
    assert half_life == short(limit.half_life)
    assert delay.startswith(f"{short(limit.shortest)}, doubled")
    assert delay.endswith(f"up to {short(limit.longest)}")
