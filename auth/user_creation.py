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
from auth.mail.operator_budget import count_operator_email
from auth.mail.outbox import EmailKind
from auth.names import canonical, parse_email, parse_full_name, parse_username
from auth.password_marks import make_mark, new_password_id
from auth.permissions import Actor
from auth.records import WITH_ROLES, UserRecord
from auth.roles import get_roles
from auth.temporary_passwords import expiry_of
from auth.throttling.budgets import reset_budgets
from auth.tokens.link_tokens import Purpose
from auth.user_links import send_link
from auth.wiring import Auth
from models.base import uuid7
from models.role import UserRole
from models.user import User

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NewUserForm:
    """What somebody typed; without a password nobody can log in to the account yet."""

    username: str
    email: str | None = None
    full_name: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class NewUser:
    """An account to be: its names parsed, its password hashed."""

    username: str
    email: str | None
    full_name: str | None
    password_hash: str | None = field(repr=False)
    email_verified: bool = False
    # Somebody else than the owner chose the password.
    password_is_temporary: bool = False


async def prepare_user(auth: Auth, form: NewUserForm, *, tells_taken_email: bool = True) -> NewUser:
    """Checks a form and hashes its password.

    Raises RateLimited, and Refusals with everything that is wrong with the form.
    """
    problems: list[Refusal] = []
    username = _collect(problems, parse_username, form.username)
    email = _collect(problems, parse_email, form.email)
    full_name = _collect(problems, parse_full_name, form.full_name)
    if form.password is not None:
        policy = auth.password_policy
        # With the parsed names: those are bounded, and as they will be stored.
        problems += policy.problems(form.password, username=username or "", email=email)
    if problems or username is None:
        raise Refusals(*problems)
    # Asked before the slow hash; the unique indexes decide after it.
    await check_names_free(auth, username, email if tells_taken_email else None)
    password_hash = await auth.passwords.hash(form.password) if form.password else None
    return NewUser(username, email, full_name, password_hash)


async def create_user(
    auth: Auth, actor: Actor, form: NewUserForm, role_ids: Sequence[UUID]
) -> UserRecord:
    """Creates an account for somebody else.

    A password that the operator gives must be replaced by its owner at the first login; without one
    the owner is sent a link to choose theirs (ASVS 5.0, 6.4.1). At the console it is kept: whoever
    is there may be the owner. Raises Forbidden, RoleNotFound, RateLimited, and Refusals with
    everything that is wrong with the form.
    """
    needed = ("users:write", "roles:write") if role_ids else ("users:write",)
    check_may_all(actor, needed)
    prepared = await prepare_user(auth, form)
    chosen_by_another = actor.user_id is not None and form.password is not None
    new = replace(prepared, password_is_temporary=chosen_by_another)
    async with (
        telling_taken_names(auth, new.username, new.email),
        authorized(auth, actor, Action.USER_CREATED, *needed) as operation,
    ):
        tx = operation.tx
        roles = await get_roles(tx, auth.permissions, role_ids)
        check_may_grant(operation.actor, roles)
        row = await insert_user(tx, auth, new, [role.id for role in roles])
        operation.subject_id = row.id
        if row.email and row.password_hash is None:
            await count_operator_email(auth, operation, row.email)
            await send_link(tx, auth, row, Purpose.PASSWORD_RESET, EmailKind.ACCOUNT_CREATED)
        return UserRecord.of(row, auth.permissions)


async def add_user(
    auth: Auth, new: NewUser, role_ids: Collection[UUID], action: Action, actor: Actor
) -> UserRecord:
    """Writes a new account that `actor` makes.

    Raises Refusals when the username or the e-mail address is taken.
    """
    async with telling_taken_names(auth, new.username, new.email), auth.db.begin() as tx:
        row = await insert_user(tx, auth, new, role_ids)
        record(tx, AuditEntry.by(actor, action, row.created_at, subject_id=row.id))
        return UserRecord.of(row, auth.permissions)


@asynccontextmanager
async def telling_taken_names(
    auth: Auth, username: str | None, email: str | None, *, but: UUID | None = None
) -> AsyncIterator[None]:
    """Around a transaction that gives somebody these names: turns its IntegrityError into Refusals.

    `but` is who may have them already.
    """
    try:
        yield
    except IntegrityError:
        # The unique indexes decide, not a look beforehand: two may register a name at once.
        await check_names_free(auth, username, email, but=but)
        raise


async def insert_user(
    tx: AsyncSession, auth: Auth, new: NewUser, role_ids: Collection[UUID]
) -> User:
    """Adds the row and its roles. Raises IntegrityError when a name is taken."""
    row = _row(new, auth.clock.now())
    tx.add(row)
    await tx.flush()
    await auth.throttle.reset(tx, *reset_budgets(row.email))
    await give_roles(tx, row.id, role_ids)
    return await tx.get_one(User, row.id, options=[WITH_ROLES], populate_existing=True)


async def check_names_free(
    auth: Auth, username: str | None, email: str | None, *, but: UUID | None = None
) -> None:
    """Raises Refusals with UsernameTaken and EmailTaken, whichever is so; `but` may have them."""
    refusals: list[Refusal] = []
    key = canonical(username) if username else None
    if key and await _find(auth, User.username, User.username_key == key, but):
        refusals.append(UsernameTaken())
    if email and await find_owner_of_email(auth, email, but=but):
        refusals.append(EmailTaken())
    if refusals:
        raise Refusals(*refusals)


async def find_owner_of_email(auth: Auth, email: str, *, but: UUID | None = None) -> str | None:
    """The address as the account that has it spells it, if that is not the account of `but`."""
    return await _find(auth, User.email, User.email_key == canonical(email), but)


async def _find(
    auth: Auth,
    what: InstrumentedAttribute[T],
    condition: ColumnElement[bool],
    but: UUID | None,
) -> T | None:
    async with auth.db.read() as session:
        row = (await session.execute(select(what, User.id).where(condition))).one_or_none()
    return None if row is None or row.id == but else row[0]


async def give_roles(tx: AsyncSession, user_id: UUID, role_ids: Collection[UUID]) -> None:
    """Adds roles to a user who has none of them yet."""
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
        temporary_password_expires_at=expiry_of(temporary=new.password_is_temporary, now=now),
        email_verified_at=now if new.email_verified else None,
        created_at=now,
    )


def _collect(problems: list[Refusal], parse: Callable[[str], T], text: str | None) -> T | None:
    try:
        return None if text is None else parse(text)
    except Refusal as refusal:
        problems.append(refusal)
        return None
