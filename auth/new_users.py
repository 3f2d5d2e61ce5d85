"""New accounts: a form is checked, its password hashed, the row written."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from sqlalchemy import false, insert, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from auth.audit import Act, Action, record
from auth.clients import Client
from auth.errors import EmailTaken, Refusal, Refusals, UsernameTaken
from auth.names import canonical, parse_email, parse_full_name, parse_username
from auth.policies import Actor
from auth.records import WITH_ROLES, UserRecord
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


async def prepare_user(auth: Auth, form: NewUserForm) -> NewUser:
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
    await check_names_free(auth, username, email)
    password_hash = await auth.passwords.hash(form.password) if form.password else None
    return NewUser(username, email, full_name, password_hash)


async def add_user(
    auth: Auth,
    new: NewUser,
    role_ids: Collection[UUID],
    action: Action,
    client: Client,
    *,
    actor: Actor | None,
) -> UserRecord:
    """Writes a new account, which `actor` makes, or its owner.

    Raises Refusals when the username or the e-mail address is taken.
    """
    user_id, now = uuid7(), auth.clock.now()
    try:
        async with auth.db.begin() as tx:
            tx.add(_row(new, user_id, now))
            await tx.flush()
            await give_roles(tx, user_id, role_ids)
            actor_id = actor.user_id if actor else user_id
            record(tx, Act(action, now, client, actor_id=actor_id, subject_id=user_id))
            row = await tx.get_one(User, user_id, options=[WITH_ROLES], populate_existing=True)
            return UserRecord.of(row, auth.permissions)
    except IntegrityError:
        # The unique indexes decide, not a look beforehand: two may register a name at once.
        await check_names_free(auth, new.username, new.email)
        raise


async def check_names_free(auth: Auth, username: str, email: str | None) -> None:
    """Raises Refusals with UsernameTaken and EmailTaken, whichever is so."""
    username_key, email_key = canonical(username), canonical(email) if email else None
    async with auth.db.read() as session:
        taken = await session.execute(
            select(User.username_key, User.email_key).where(
                or_(
                    User.username_key == username_key,
                    # No address equals no address only in SQLAlchemy's words: IS NULL.
                    User.email_key == email_key if email_key else false(),
                )
            )
        )
        rows = taken.all()
    refusals = [UsernameTaken()] if any(row.username_key == username_key for row in rows) else []
    if email_key and any(row.email_key == email_key for row in rows):
        raise Refusals(*refusals, EmailTaken())
    if refusals:
        raise Refusals(*refusals)


async def give_roles(tx: AsyncSession, user_id: UUID, role_ids: Collection[UUID]) -> None:
    """Adds roles to a user who has none of them yet."""
    if role_ids:
        rows = [{"user_id": user_id, "role_id": role_id} for role_id in role_ids]
        await tx.execute(insert(UserRole), rows)


def _row(new: NewUser, user_id: UUID, now: datetime) -> User:
    return User(
        id=user_id,
        username=new.username,
        username_key=canonical(new.username),
        email=new.email,
        email_key=canonical(new.email) if new.email else None,
        full_name=new.full_name,
        password_hash=new.password_hash,
        created_at=now,
    )


def _collect(problems: list[Refusal], parse: Callable[[str], T], text: str | None) -> T | None:
    try:
        return None if text is None else parse(text)
    except Refusal as refusal:
        problems.append(refusal)
        return None
