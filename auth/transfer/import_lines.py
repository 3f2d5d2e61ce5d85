"""One line of a file of accounts: checked by the rules that people's own forms are checked by."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID

from auth.errors import Refusal
from auth.names import canonical, parse_email, parse_full_name, parse_username
from auth.passwords.hash_kinds import problem_of_hash
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
# What other systems have in place of an instant.
FLAGS = ("email_verified", "disabled")
KNOWN_FIELDS = frozenset({*FIELDS, *FLAGS})

# Django's mark of an account that cannot log in by password.
_UNUSABLE_HASH = "!"

# RFC 3339; a time without a zone is no instant.
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?"
    r"(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
# The clock of the other machine may be a little ahead.
_CLOCK_TOLERANCE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a line was not imported. Holds nothing of what stands in it: it might be a password."""

    line: int
    field: str | None
    message: str

    def __str__(self) -> str:
        where = f"line {self.line}: " + (f"{self.field}: " if self.field else "")
        return where + self.message


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file: its fields by name, or why none could be read."""

    number: int
    fields: object = field(repr=False)
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Incoming:
    """An account that a line describes: right in itself, and not compared with any other yet."""

    line: int
    id: UUID
    # Whether the line says which id; else any will do.
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
    line: Line, known_roles: Mapping[str, UUID], now: datetime
) -> Incoming | list[Problem]:
    """The account of a line, or everything that is wrong with it. Never raises."""
    if line.problem is not None:
        return [Problem(line.number, None, line.problem)]
    if not isinstance(line.fields, Mapping):
        return [Problem(line.number, None, "is not a JSON object")]
    reader = _Reader(line, line.fields, now)
    incoming = reader.read(known_roles)
    return reader.problems or incoming


def problem_of_field(name: object) -> str | None:
    """What is wrong with a line, or a header, that has a field of this name."""
    if name in KNOWN_FIELDS:
        return None
    if name == "password":
        return (
            "password: plain-text passwords are not imported; give password_hash, or leave it out"
            " and let people reset theirs"
        )
    # Where the header is missing, the first account stands in its place, with its hash.
    if isinstance(name, str) and _WORD.fullmatch(name):
        return f"{name}: there is no such field"
    return "there is a field whose name is no word"


class _Reader:
    """Reads the fields of one line, and collects what is wrong with them."""

    def __init__(self, line: Line, fields: Mapping[str, object], now: datetime) -> None:
        self.problems: list[Problem] = []
        self._line = line.number
        self._fields = fields
        self._now = now

    def read(self, known_roles: Mapping[str, UUID]) -> Incoming:
        """The account; it is none if there are `problems` afterwards."""
        for name in self._fields.keys() - KNOWN_FIELDS:
            self._blame(None, problem_of_field(name) or "")
        if self._fields.get("username") in (None, ""):
            self._blame("username", "is missing")
        username = self._parsed("username", parse_username) or ""
        email = self._parsed("email", parse_email)
        created_at = self._instant("created_at") or self._now
        given_id = self._id()
        is_temporary = self._flag("password_is_temporary")
        return Incoming(
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

    def _blame(self, field: str | None, message: str) -> None:
        self.problems.append(Problem(self._line, field, message))

    def _text(self, name: str) -> str | None:
        value = self._fields.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, str):
            return value
        self._blame(name, "is not text")
        return None

    def _parsed(self, name: str, parse: Callable[[str], T]) -> T | None:
        text = self._text(name)
        try:
            return None if text is None else parse(text)
        except Refusal as refusal:
            self._blame(name, refusal.message)
            return None

    def _password_hash(self) -> str | None:
        stored = self._text("password_hash")
        if stored is None or stored.startswith(_UNUSABLE_HASH):
            return None
        if problem := problem_of_hash(stored):
            self._blame("password_hash", problem)
        return stored

    def _flag(self, name: str) -> bool:
        value = self._fields.get(name)
        if not isinstance(value, bool | None):
            self._blame(name, "is neither true nor false")
        return value is True

    def _instant(self, name: str) -> datetime | None:
        text = self._text(name)
        if text is None:
            return None
        instant = parse_instant(text)
        if instant is None:
            self._blame(name, "is no time with a time zone, such as 2024-05-17T09:30:00Z")
        elif instant > self._now + _CLOCK_TOLERANCE:
            self._blame(name, "lies in the future")
        return instant

    def _instant_or_flag(self, at: str, flag: str) -> datetime | None:
        instant, claimed = self._instant(at), self._flag(flag)
        if instant and self._fields.get(flag) is False:
            self._blame(flag, f"contradicts {at}")
        return instant or (self._now if claimed else None)

    def _roles(self, known: Mapping[str, UUID]) -> tuple[str, ...]:
        names = self._fields.get("roles")
        if names is None:
            return (DEFAULT_ROLE,)
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            self._blame("roles", "is not a list of names")
            return ()
        if not known.keys() >= set(names):
            self._blame("roles", "there is no such role, or you may not give it")
        return tuple(dict.fromkeys(names))

    def _id(self) -> UUID | None:
        text = self._text("id")
        if text is None or _UUID.fullmatch(text):
            return UUID(text) if text else None
        self._blame("id", "is not a UUID")
        return None


def parse_instant(text: str) -> datetime | None:
    """The instant that RFC 3339 text names, in UTC; None if it names none."""
    if not _INSTANT.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
