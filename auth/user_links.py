"""Email links of users: send a link, check the token of a link, end links."""

from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from auth.authorization import Operation
from auth.errors import LinkInvalid
from auth.mail.admin_budget import count_admin_email
from auth.mail.outbox import EmailKind, queue_email
from auth.password_marks import (
    find_password_id,
    list_password_identifiers,
    make_mark,
    new_password_id,
)
from auth.tokens.link_tokens import LIFETIMES, Purpose, State, parse_link_token
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
    """Queues an email with a link. Does nothing if the server sends no email.

    The caller must have locked the user's row.
    """
    email_id = queue_email(tx, auth, kind)
    if email_id:
        await create_link(tx, auth, user, purpose, email_id, email=email)


async def send_operator_link(
    auth: Auth, operation: Operation, user: User, purpose: Purpose, kind: EmailKind
) -> None:
    """Queues an email with a link, within the email budget of the admin. Raises RateLimited."""
    assert user.email
    await count_admin_email(auth, operation, user.email)
    await send_link(operation.tx, auth, user, purpose, kind)


async def create_link(
    tx: AsyncSession,
    auth: Auth,
    user: User,
    purpose: Purpose,
    link_id: UUID,
    *,
    email: str | None = None,
) -> None:
    """Stores the link under the ID of its email. Ends earlier links, except for password resets.

    A stranger can request a reset, which must not end a link that the user is about to follow.
    """
    if purpose is not Purpose.PASSWORD_RESET:
        await end_links(tx, user.id, purpose)
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


async def end_links(tx: AsyncSession, user_id: UUID, *purposes: Purpose) -> None:
    """Ends the user's links of these purposes."""
    names = [purpose.value for purpose in purposes]
    await tx.execute(delete(Link).where(Link.user_id == user_id, Link.purpose.in_(names)))


async def find_link(tx: AsyncSession, link_id: UUID) -> tuple[Link, User] | None:
    """Returns the link and its user."""
    query = select(Link, User).join(User, User.id == Link.user_id).where(Link.id == link_id)
    row = (await tx.execute(query)).one_or_none()
    return (row.Link, row.User) if row else None


async def get_link(
    session: AsyncSession, auth: Auth, purpose: Purpose, text: str
) -> tuple[Link, User]:
    """Returns the link of a token, and its user. Raises LinkInvalid if the link has ended."""
    token = parse_link_token(text)
    found = await find_link(session, token.row_id)
    if found is None or found[0].purpose != purpose or found[1].disabled_at is not None:
        raise LinkInvalid
    # A user without a password gets a link to choose the first one.
    names: list[str | None] = [*list_password_identifiers(found[1])] or [None]
    states = [_state(*found, password) for password in names]
    auth.links.check_any(purpose, token, auth.clock.now(), states)
    return found


async def get_link_for_update(
    tx: AsyncSession, auth: Auth, purpose: Purpose, text: str
) -> tuple[Link, User]:
    """Returns the link of a token, and its user, and locks the user's row. Raises LinkInvalid.

    The transaction must end the link, so that a second request with the token is refused.
    """
    token = parse_link_token(text)
    owner = select(User.id).join(Link, Link.user_id == User.id).where(Link.id == token.row_id)
    await tx.scalar(owner.with_for_update(of=User))
    return await get_link(tx, auth, purpose, text)


def issue_link_token(auth: Auth, link: Link, user: User) -> str:
    """Returns the token for the email. Its lifetime starts now."""
    purpose = Purpose(link.purpose)
    expires_at = auth.clock.now() + LIFETIMES[purpose]
    # Processes of an older version identify a password by its hash. So the token covers the ID
    # only if a sign-in would renew the hash.
    password_id = find_password_id(user) if _will_be_renewed(auth, user) else None
    state = _state(link, user, password_id or user.password_hash)
    return auth.links.issue(purpose, link.id, expires_at, *state)


def _state(link: Link, user: User, password: str | None) -> State:
    if link.purpose == Purpose.EMAIL_VERIFICATION:
        return (str(user.id), user.email_key)
    return (str(user.id), user.email_key, password, link.email)


def _will_be_renewed(auth: Auth, user: User) -> bool:
    """Returns whether the next sign-in renews the hash."""
    return user.password_hash is not None and auth.passwords.needs_rehash(user.password_hash)
