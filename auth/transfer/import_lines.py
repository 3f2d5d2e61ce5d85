"""Parses and validates the lines of an import file, by the same rules as the forms of users."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID

from auth.errors import Refusal
from auth.names import canonical, parse_email, parse_full_name, parse_username
from auth.passwords.importable_hashes import find_hash_problem
from auth.permissions import DEFAULT_ROLE
from auth.temporary_passwords import temporary_password_expiry
from models.base import uuid7_at

T = TypeVar("T")

# In the order in which an export writes them.
FIELDS = (
    "id",
    "username",
    "email",
    "email_verified_at",
    "full_name",
    "roles",
    "disabled_at",
    "created_at",
    "last_login_at",
    "password_hash",
    "password_is_temporary",
)
# Alternatives to `email_verified_at` and `disabled_at`, for systems without times.
FLAGS = ("email_verified", "disabled")
KNOWN_FIELDS = frozenset({*FIELDS, *FLAGS})

# Django marks an account without a password in this way.
_UNUSABLE_HASH = "!"

# RFC 3339, with a time zone.
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?"
    r"(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
# The clock of the other system may be ahead.
_CLOCK_TOLERANCE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class LineProblem:
    """A reason to reject a line. The message contains no values, which may be passwords."""

    line: int
    field: str | None
    message: str

    def __str__(self) -> str:
        where = f"line {self.line}: " + (f"{self.field}: " if self.field else "")
        return where + self.message


@dataclass(frozen=True, slots=True)
class ImportLine:
    """A line of an import file: its fields by name, or why it could not be read."""

    number: int
    fields: object = field(repr=False)
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class ImportedUser:
    """The user of a valid line. It has not been compared with other users yet."""

    line: int
    id: UUID
    # Whether the line specifies the ID. Otherwise it is a new one.
    keeps_id: bool
    username: str
    username_key: str
    email: str | None
    email_key: str | None
    full_name: str | None
    roles: tuple[str, ...]
    password_hash: str | None = field(repr=False)
    password_is_temporary: bool
    temporary_password_expires_at: datetime | None
    email_verified_at: datetime | None
    disabled_at: datetime | None
    created_at: datetime
    last_login_at: datetime | None


def parse_line(
    line: ImportLine, known_roles: Mapping[str, UUID], now: datetime
) -> ImportedUser | list[LineProblem]:
    """Returns the user of a line, or all problems of the line. Does not raise."""
    if line.problem is not None:
        return [LineProblem(line.number, None, line.problem)]
    if not isinstance(line.fields, Mapping):
        return [LineProblem(line.number, None, "must be a JSON object")]
    reader = _Reader(line, line.fields, now)
    incoming = reader.read(known_roles)
    return reader.problems or incoming


def find_field_problem(name: object) -> str | None:
    """Returns why a field of this name is not accepted; None if it is."""
    if name in KNOWN_FIELDS:
        return None
    if name == "password":
        return (
            "password: plain-text passwords cannot be imported. Use password_hash, or leave it out"
            " and let users reset their password"
        )
    # A CSV file without a header has values of the first user here, perhaps a password hash.
    if isinstance(name, str) and _WORD.fullmatch(name):
        return f"{name}: is not a known field"
    return "the name of a field is invalid"


class _Reader:
    """Reads the fields of one line and collects their problems."""

    def __init__(self, line: ImportLine, fields: Mapping[str, object], now: datetime) -> None:
        self.problems: list[LineProblem] = []
        self._line = line.number
        self._fields = fields
        self._now = now

    def read(self, known_roles: Mapping[str, UUID]) -> ImportedUser:
        """Reads all fields. The result is valid only if `problems` is empty."""
        for name in self._fields.keys() - KNOWN_FIELDS:
            self._report(None, find_field_problem(name) or "")
        if self._fields.get("username") in (None, ""):
            self._report("username", "is missing")
        username = self._parsed("username", parse_username) or ""
        email = self._parsed("email", parse_email)
        created_at = self._instant("created_at") or self._now
        given_id = self._id()
        is_temporary = self._flag("password_is_temporary")
        return ImportedUser(
            line=self._line,
            id=given_id or uuid7_at(created_at),
            keeps_id=given_id is not None,
            username=username,
            username_key=canonical(username),
            email=email,
            email_key=canonical(email) if email else None,
            full_name=self._parsed("full_name", parse_full_name),
            roles=self._roles(known_roles),
            password_hash=self._password_hash(),
            password_is_temporary=is_temporary,
            temporary_password_expires_at=temporary_password_expiry(
                temporary=is_temporary, now=self._now
            ),
            email_verified_at=self._instant_or_flag("email_verified_at", "email_verified"),
            disabled_at=self._instant_or_flag("disabled_at", "disabled"),
            created_at=created_at,
            last_login_at=self._instant("last_login_at"),
        )

    def _report(self, field: str | None, message: str) -> None:
        self.problems.append(LineProblem(self._line, field, message))

    def _text(self, name: str) -> str | None:
        value = self._fields.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, str):
            return value
        self._report(name, "must be text")
        return None

    def _parsed(self, name: str, parse: Callable[[str], T]) -> T | None:
        text = self._text(name)
        try:
            return None if text is None else parse(text)
        except Refusal as refusal:
            self._report(name, refusal.message)
            return None

    def _password_hash(self) -> str | None:
        stored = self._text("password_hash")
        if stored is None or stored.startswith(_UNUSABLE_HASH):
            return None
        if problem := find_hash_problem(stored):
            self._report("password_hash", problem)
        return stored

    def _flag(self, name: str) -> bool:
        value = self._fields.get(name)
        if not isinstance(value, bool | None):
            self._report(name, "must be true or false")
        return value is True

    def _instant(self, name: str) -> datetime | None:
        text = self._text(name)
        if text is None:
            return None
        instant = parse_instant(text)
        if instant is None:
            self._report(name, "must be a time with a time zone, such as 2024-05-17T09:30:00Z")
        elif instant > self._now + _CLOCK_TOLERANCE:
            self._report(name, "is in the future")
        return instant

    def _instant_or_flag(self, at: str, flag: str) -> datetime | None:
        instant, claimed = self._instant(at), self._flag(flag)
        if instant and self._fields.get(flag) is False:
            self._report(flag, f"contradicts {at}")
        return instant or (self._now if claimed else None)

    def _roles(self, known: Mapping[str, UUID]) -> tuple[str, ...]:
        names = self._fields.get("roles")
        if names is None:
            return (DEFAULT_ROLE,)
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            self._report("roles", "must be a list of names")
            return ()
        if not known.keys() >= set(names):
            self._report("roles", "contains an unknown role, or one that you may not grant")
        return tuple(dict.fromkeys(names))

    def _id(self) -> UUID | None:
        text = self._text("id")
        if text is None or _UUID.fullmatch(text):
            return UUID(text) if text else None
        self._report("id", "must be a UUID")
        return None


def parse_instant(text: str) -> datetime | None:
    """Parses an RFC 3339 time. Returns it in UTC, or None."""
    if not _INSTANT.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
