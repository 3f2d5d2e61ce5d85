"""Create users: check the form, hash the password, write the row."""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from auth.audit import Action, AuditEntry, record
from auth.authorization import authorized, check_may_all, check_may_grant
from auth.errors import EmailTaken, Refusal, Refusals, UsernameTaken
from auth.mail.outbox import EmailKind
from auth.names import canonical, parse_email, parse_full_name, parse_username
from auth.password_marks import make_mark, new_password_id
from auth.permissions import Actor, Permission
from auth.records import WITH_ROLES, UserRecord
from auth.roles import get_roles
from auth.temporary_passwords import temporary_password_expiry
from auth.throttling.budgets import reset_budgets
from auth.tokens.link_tokens import Purpose
from auth.user_links import send_operator_link
from auth.wiring import Auth
from models.base import uuid7
from models.role import UserRole
from models.user import User

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NewUserForm:
    """The input of a new user. Without a password the user cannot sign in yet."""

    username: str
    email: str | None = None
    full_name: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class NewUser:
    """A new user with parsed names and a hashed password."""

    username: str
    email: str | None
    full_name: str | None
    password_hash: str | None = field(repr=False)
    email_verified: bool = False
    # An admin chose the password.
    password_is_temporary: bool = False


async def prepare_user(
    auth: Auth, form: NewUserForm, *, reports_taken_email: bool = True
) -> NewUser:
    """Checks a form and hashes its password.

    Raises RateLimited, and Refusals with all problems of the form.
    """
    problems: list[Refusal] = []
    username = parse_and_collect(problems, parse_username, form.username)
    email = parse_and_collect(problems, parse_email, form.email)
    full_name = parse_and_collect(problems, parse_full_name, form.full_name)
    if form.password is not None:
        policy = auth.password_policy
        # The parsed names are bounded and have the form that will be stored.
        problems += policy.problems(form.password, username=username or "", email=email)
    if problems or username is None:
        raise Refusals(*problems)
    # Checked before the slow hash. The unique indexes decide after it.
    await check_names_free(auth, username, email if reports_taken_email else None)
    password_hash = await auth.passwords.hash(form.password) if form.password else None
    return NewUser(username, email, full_name, password_hash)


async def create_user(
    auth: Auth, actor: Actor, form: NewUserForm, role_ids: Sequence[UUID]
) -> UserRecord:
    """Creates a user for an admin.

    A password that the admin chooses is temporary. Without a password the user gets a link to
    choose one (ASVS 5.0, 6.4.1). At the console the password is permanent, because the operator may
    create their own account. Raises Forbidden, RoleNotFound, RateLimited, and Refusals with all
    problems of the form.
    """
    needed = permissions_to_add_user(role_ids)
    check_may_all(actor, needed)
    prepared = await prepare_user(auth, form)
    temporary = actor.user_id is not None and form.password is not None
    new = replace(prepared, password_is_temporary=temporary)
    async with (
        refusing_taken_names(auth, new.username, new.email),
        authorized(auth, actor, Action.USER_CREATED, *needed) as operation,
    ):
        tx = operation.tx
        roles = await get_roles(tx, auth.permissions, role_ids)
        check_may_grant(operation.actor, roles)
        row = await insert_user(tx, auth, new, [role.id for role in roles])
        operation.subject_id = row.id
        if row.email and row.password_hash is None:
            purpose, kind = Purpose.PASSWORD_RESET, EmailKind.ACCOUNT_CREATED
            await send_operator_link(auth, operation, row, purpose, kind)
        return UserRecord.of(row, auth.permissions)


def permissions_to_add_user(roles: Sequence[object]) -> Sequence[Permission]:
    """Returns the permissions that creating or inviting a user with these roles needs."""
    return (Permission.USERS_WRITE, *([Permission.ROLES_WRITE] if roles else []))


async def add_user(
    auth: Auth, new: NewUser, role_ids: Collection[UUID], action: Action, actor: Actor
) -> UserRecord:
    """Adds a prepared user, without a check of permissions.

    Raises Refusals if the username or the email address is taken.
    """
    async with refusing_taken_names(auth, new.username, new.email), auth.db.begin() as tx:
        row = await insert_user(tx, auth, new, role_ids)
        record(tx, AuditEntry.by(actor, action, row.created_at, subject_id=row.id))
        return UserRecord.of(row, auth.permissions)


@asynccontextmanager
async def refusing_taken_names(
    auth: Auth, username: str | None, email: str | None, *, except_for: UUID | None = None
) -> AsyncIterator[None]:
    """Turns the IntegrityError of a transaction that stores these names into Refusals.

    The user `except_for` may have the names.
    """
    try:
        yield
    except IntegrityError:
        # The unique indexes decide, because two requests may register a name at the same time.
        await check_names_free(auth, username, email, except_for=except_for)
        raise


async def insert_user(
    tx: AsyncSession, auth: Auth, new: NewUser, role_ids: Collection[UUID]
) -> User:
    """Adds the row and its roles. Raises IntegrityError if a name is taken."""
    row = _row(new, auth.clock.now())
    tx.add(row)
    await tx.flush()
    await auth.throttle.reset(tx, *reset_budgets(row.email))
    await give_roles(tx, row.id, role_ids)
    return await tx.get_one(User, row.id, options=[WITH_ROLES], populate_existing=True)


async def check_names_free(
    auth: Auth, username: str | None, email: str | None, *, except_for: UUID | None = None
) -> None:
    """Raises Refusals with UsernameTaken and EmailTaken, unless the user is `except_for`."""
    refusals: list[Refusal] = []
    key = canonical(username) if username else None
    if key and await _find(auth, User.username, User.username_key == key, except_for):
        refusals.append(UsernameTaken())
    if email and await find_email_holder(auth, email, except_for=except_for):
        refusals.append(EmailTaken())
    if refusals:
        raise Refusals(*refusals)


async def find_email_holder(
    auth: Auth, email: str, *, except_for: UUID | None = None
) -> str | None:
    """Returns the address as its user spells it; None if no user but `except_for` has it."""
    return await _find(auth, User.email, User.email_key == canonical(email), except_for)


async def _find(
    auth: Auth,
    what: InstrumentedAttribute[T],
    condition: ColumnElement[bool],
    except_for: UUID | None,
) -> T | None:
    async with auth.db.read() as session:
        row = (await session.execute(select(what, User.id).where(condition))).one_or_none()
    return None if row is None or row.id == except_for else row[0]


async def give_roles(tx: AsyncSession, user_id: UUID, role_ids: Collection[UUID]) -> None:
    """Adds roles that the user does not have."""
    if role_ids:
        rows = [{"user_id": user_id, "role_id": role_id} for role_id in role_ids]
        await tx.execute(insert(UserRole), rows)


def _row(new: NewUser, now: datetime) -> User:
    return User(
        id=uuid7(),
        username=new.username,
        username_key=canonical(new.username),
        email=new.email,
        email_key=canonical(new.email) if new.email else None,
        full_name=new.full_name,
        password_hash=new.password_hash,
        password_mark=make_mark(new_password_id(), new.password_hash)
        if new.password_hash
        else None,
        password_is_temporary=new.password_is_temporary,
        temporary_password_expires_at=temporary_password_expiry(
            temporary=new.password_is_temporary, now=now
        ),
        email_verified_at=now if new.email_verified else None,
        created_at=now,
    )


def parse_and_collect(
    problems: list[Refusal], parse: Callable[[str], T], text: str | None
) -> T | None:
    """Returns the parsed text, or None after a refusal, which it adds to the problems."""
    try:
        return None if text is None else parse(text)
    except Refusal as refusal:
        problems.append(refusal)
        return None
