"""Requests of users that wait for the link in an email to be followed."""

from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from auth.errors import (
    LinkInvalid,
)
from auth.mail.outbox import EmailKind, queue_email
from auth.password_marks import find_password_id, make_mark, names_of_password, new_password_id
from auth.tokens.link_tokens import LIFETIMES, Purpose, State, read_token
from auth.wiring import Auth
from models.link import Link
from models.user import User


async def send_link(
    tx: AsyncSession,
    auth: Auth,
    user: User,
    purpose: Purpose,
    kind: EmailKind,
    *,
    email: str | None = None,
) -> None:
    """Queues an email with a link.

    The caller holds the user's row. Does nothing where this server sends no mail.
    """
    mail_id = queue_email(tx, auth, kind)
    if mail_id:
        await begin_request(tx, auth, user, purpose, mail_id, email=email)


async def begin_request(
    tx: AsyncSession,
    auth: Auth,
    user: User,
    purpose: Purpose,
    link_id: UUID,
    *,
    email: str | None = None,
) -> None:
    """Records the request under the id of its email. It ends earlier ones, except for resets.

    A stranger can request a reset: that must not end the link that the owner is about to follow.
    """
    if purpose is not Purpose.PASSWORD_RESET:
        await end_requests(tx, user.id, purpose)
    if _will_be_renewed(auth, user) and find_password_id(user) is None:
        assert user.password_hash
        user.password_mark = make_mark(new_password_id(), user.password_hash)
    tx.add(
        Link(
            id=link_id,
            user_id=user.id,
            purpose=purpose.value,
            email=email,
            created_at=auth.clock.now(),
        )
    )


async def end_requests(tx: AsyncSession, user_id: UUID, *purposes: Purpose) -> None:
    """Makes the links of these purposes worthless."""
    names = [purpose.value for purpose in purposes]
    await tx.execute(delete(Link).where(Link.user_id == user_id, Link.purpose.in_(names)))


async def find_request(tx: AsyncSession, link_id: UUID) -> tuple[Link, User] | None:
    """The request, and whose it is."""
    query = select(Link, User).join(User, User.id == Link.user_id).where(Link.id == link_id)
    row = (await tx.execute(query)).one_or_none()
    return (row.Link, row.User) if row else None


async def look_at_link(
    session: AsyncSession, auth: Auth, purpose: Purpose, text: str
) -> tuple[Link, User]:
    """What a token is about. Raises LinkInvalid unless its request is open."""
    token = read_token(text)
    found = await find_request(session, token.about)
    if found is None or found[0].purpose != purpose or found[1].disabled_at is not None:
        raise LinkInvalid
    # An account without a password has a link to choose the first one.
    names: list[str | None] = [*names_of_password(found[1])] or [None]
    states = [_state(*found, password) for password in names]
    auth.links.check_any(purpose, token, auth.clock.now(), states)
    return found


async def use_link(tx: AsyncSession, auth: Auth, purpose: Purpose, text: str) -> tuple[Link, User]:
    """The same in a transaction, which holds the user's row and must end the request.

    Of two who come with one token the second then finds nothing.
    """
    token = read_token(text)
    owner = select(User.id).join(Link, Link.user_id == User.id).where(Link.id == token.about)
    await tx.scalar(owner.with_for_update(of=User))
    return await look_at_link(tx, auth, purpose, text)


def token_for(auth: Auth, link: Link, user: User) -> str:
    """The token for the mail; its life begins now."""
    purpose = Purpose(link.purpose)
    expires_at = auth.clock.now() + LIFETIMES[purpose]
    # Processes of an older version know a password by its hash only. So its ID stands in a link
    # only where a sign-in would renew the hash.
    password_id = find_password_id(user) if _will_be_renewed(auth, user) else None
    state = _state(link, user, password_id or user.password_hash)
    return auth.links.make(purpose, link.id, expires_at, *state)


def _state(link: Link, user: User, password: str | None) -> State:
    if link.purpose == Purpose.EMAIL_VERIFICATION:
        return (str(user.id), user.email_key)
    return (str(user.id), user.email_key, password, link.email)


def _will_be_renewed(auth: Auth, user: User) -> bool:
    """Whether the next sign-in replaces the hash by one of today's kind and cost."""
    return user.password_hash is not None and auth.passwords.needs_rehash(user.password_hash)
