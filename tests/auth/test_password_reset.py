"""Password reset: the link works once, for an hour; strangers cannot block it."""

import asyncio
from contextlib import suppress

import pytest
from sqlalchemy import delete, func, select, update

from auth.clients import Client
from auth.email_change import request_email_change
from auth.errors import (
    EmailInvalid,
    EmailMissing,
    InvalidCredentials,
    LinkInvalid,
    MailUnavailable,
    RateLimited,
    Refusals,
    SessionRevoked,
)
from auth.login import log_in
from auth.mail.outbox import EmailKind
from auth.password_change import change_password
from auth.password_reset import request_password_reset, require_password_reset, reset_password
from auth.registration import register
from auth.user_access import disable_user
from auth.user_creation import NewUserForm, create_user
from auth.user_edits import UserEdit, update_user
from auth.users import find_user_by_name
from auth.viewers import get_viewer
from auth.wiring import Auth
from models.audit_event import AuditEvent
from models.link import Link
from models.outgoing_email import OutgoingEmail
from models.throttle_row import ThrottleRow
from models.user import User
from tests.accounts import ADMIN, ALICE, BOB, OPERATOR
from tests.api import Api
from tests.clock import ManualClock
from tests.databases import recorded_statements
from tests.emails import Mailbox

NEW = "a password of my own"
HERE = Client("192.0.2.7", "test")


async def ask(api: Api, email: str = ALICE.email) -> None:
    await request_password_reset(api.auth, HERE, email=email)
    await api.send_emails()


async def reset(auth: Auth, token: str, new: str = NEW) -> int:
    return (await reset_password(auth, HERE, token=token, new=new)).ended_sessions


async def log_in_with(auth: Auth, password: str) -> None:
    await log_in(auth, HERE, username="alice", password=password)


async def test_link_sets_a_new_password(api: Api, mailbox: Mailbox) -> None:
    await ask(api)
    mail = mailbox.last(ALICE.email)
    assert mail.link.startswith("http://localhost:8000/account/reset-password#token=plt_")
    assert mail.link in mail.html
    await reset(api.auth, mail.token)
    await log_in_with(api.auth, NEW)
    with pytest.raises(InvalidCredentials):
        await log_in_with(api.auth, ALICE.password)


async def test_reset_ends_all_sessions_and_sends_a_notice(api: Api, mailbox: Mailbox) -> None:
    token = await api.log_in(ALICE)
    await ask(api)
    assert await reset(api.auth, mailbox.last(ALICE.email).token) == 1
    with pytest.raises(SessionRevoked):
        await get_viewer(api.auth, HERE, token)
    await api.send_emails()
    assert "was changed" in mailbox.last(ALICE.email).subject


async def test_reset_verifies_the_email(api: Api, mailbox: Mailbox) -> None:
    await ask(api)
    await reset(api.auth, mailbox.last(ALICE.email).token)
    user = await find_user_by_name(api.auth, "alice")
    assert user
    assert user.email_verified


async def test_link_works_once(api: Api, mailbox: Mailbox) -> None:
    await ask(api)
    token = mailbox.last(ALICE.email).token
    await reset(api.auth, token)
    with pytest.raises(LinkInvalid):
        await reset(api.auth, token, "another of my own")
    await log_in_with(api.auth, NEW)


async def test_link_works_once_for_concurrent_requests(api: Api, mailbox: Mailbox) -> None:
    await ask(api)
    token = mailbox.last(ALICE.email).token
    # As many as the hashing threads accept.
    attempts = [reset(api.auth, token, f"a password of mine, {n}") for n in range(20)]
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    assert sum(outcome == 0 for outcome in outcomes) == 1
    assert all(isinstance(o, int | LinkInvalid | RateLimited) for o in outcomes)


async def test_reset_link_survives_a_newer_request(api: Api, mailbox: Mailbox) -> None:
    """Otherwise a stranger could end the link that the user is about to follow."""
    await ask(api)
    older = mailbox.last(ALICE.email).token
    await ask(api)
    newer = mailbox.last(ALICE.email).token
    await reset(api.auth, older)
    with pytest.raises(LinkInvalid):
        await reset(api.auth, newer, "another of my own")


async def test_link_expires_after_an_hour(api: Api, mailbox: Mailbox, clock: ManualClock) -> None:
    await ask(api)
    clock.tick(hours=1)
    with pytest.raises(LinkInvalid):
        await reset(api.auth, mailbox.last(ALICE.email).token)


async def test_password_change_ends_the_link(api: Api, mailbox: Mailbox) -> None:
    await ask(api)
    token = mailbox.last(ALICE.email).token
    viewer = await get_viewer(api.auth, HERE, await api.log_in(ALICE))
    await change_password(api.auth, viewer, current=ALICE.password, new=NEW)
    with pytest.raises(LinkInvalid):
        await reset(api.auth, token, "another of my own")


@pytest.mark.parametrize(
    "change",
    [{"email_key": "x@example.com"}, {"password_hash": "of another"}, {"password_hash": None}],
)
async def test_link_ends_if_the_account_changes(
    api: Api, mailbox: Mailbox, change: dict[str, str]
) -> None:
    await ask(api)
    async with api.auth.db.begin() as tx:
        await tx.execute(update(User).where(User.username == "alice").values(change))
    with pytest.raises(LinkInvalid):
        await reset(api.auth, mailbox.last(ALICE.email).token)


async def test_link_works_for_one_account(api: Api, mailbox: Mailbox) -> None:
    await ask(api)
    async with api.auth.db.begin() as tx:
        bob = await tx.scalar(select(User.id).where(User.username == "bob"))
        await tx.execute(update(Link).values(user_id=bob))
    with pytest.raises(LinkInvalid):
        await reset(api.auth, mailbox.last(ALICE.email).token)


async def test_stored_rows_do_not_allow_a_reset(api: Api, mailbox: Mailbox) -> None:
    await request_password_reset(api.auth, HERE, email=ALICE.email)
    async with api.auth.db.read() as session:
        waiting = (await session.scalars(select(OutgoingEmail))).one()
    await api.send_emails()
    token = mailbox.last(ALICE.email).token
    async with api.auth.db.read() as session:
        link = (await session.scalars(select(Link))).one()
    assert token not in f"{waiting.about} {vars(link)}"
    async with api.auth.db.read() as session:
        assert (await session.scalars(select(OutgoingEmail))).all() == []


async def test_reset_request_does_the_same_work_without_an_account(api: Api) -> None:
    for email in (ALICE.email, "nobody@example.com"):
        await request_password_reset(api.auth, HERE, email=email)
    async with api.auth.db.read() as session:
        queued = (await session.scalars(select(OutgoingEmail))).all()
        links = (await session.scalars(select(Link))).all()
    assert {mail.kind for mail in queued} == {EmailKind.PASSWORD_RESET}
    assert len(queued) == 2
    assert links == []


async def test_reset_request_of_a_device_does_the_same_work_without_an_account(api: Api) -> None:
    bob = await log_in(api.auth, HERE, username="bob", password=BOB.password)
    proofs = [bob.device_proof or "", bob.refresh_token.text]
    work: list[list[str]] = []
    for email in (ALICE.email, "nobody@example.com"):
        with recorded_statements() as sent:
            await request_password_reset(api.auth, HERE, email=email, proofs=proofs)
        work.append(list(sent))
    assert work[0] == work[1] != []


async def test_reset_request_does_not_show_whether_an_account_exists(
    api: Api, mailbox: Mailbox
) -> None:
    await ask(api, "nobody@example.com")
    assert mailbox.emails() == []


async def test_email_goes_to_the_spelling_of_the_account(api: Api, mailbox: Mailbox) -> None:
    await ask(api, "ALICE@EXAMPLE.COM")
    await ask(api, "ａlice@example.com")
    assert [mail.recipient for mail in mailbox.emails()] == [ALICE.email] * 2


async def test_disabled_user_gets_no_link(api: Api, mailbox: Mailbox) -> None:
    user = await find_user_by_name(api.auth, "alice")
    assert user
    await disable_user(api.auth, OPERATOR, user.id)
    await ask(api)
    assert mailbox.emails() == []


async def test_link_of_a_user_disabled_since_is_refused(api: Api, mailbox: Mailbox) -> None:
    await ask(api)
    user = await find_user_by_name(api.auth, "alice")
    assert user
    await disable_user(api.auth, OPERATOR, user.id)
    with pytest.raises(LinkInvalid):
        await reset(api.auth, mailbox.last(ALICE.email).token)


async def test_reset_checks_the_password_policy(api: Api, mailbox: Mailbox) -> None:
    await ask(api)
    token = mailbox.last(ALICE.email).token
    for bad in ("short", "password123", "alice and more of her", "\0" * 9):
        with pytest.raises(Refusals) as refused:
            await reset(api.auth, token, bad)
        assert {refusal.field for refusal in refused.value.refusals} == {"new_password"}
    await reset(api.auth, token)


async def test_user_resets_despite_requests_of_strangers(
    api: Api, mailbox: Mailbox, clock: ManualClock
) -> None:
    """T2: many requests of a stranger blocked the reset, 47 times of 47."""
    for _ in range(12):
        for number in range(10):
            stranger = Client(f"198.51.100.{number}")
            await request_password_reset(api.auth, stranger, email=ALICE.email)
        await api.send_emails()
        clock.tick(minutes=10)
    await ask(api)
    # Few emails were sent. The last link works for another half hour.
    assert len(mailbox.emails(ALICE.email)) == 10
    clock.tick(minutes=29)
    await reset(api.auth, mailbox.last().token)


async def test_reset_request_during_the_pause_sends_nothing_with_the_same_reply(
    api: Api, mailbox: Mailbox
) -> None:
    for _ in range(47):
        await ask(api)
        await ask(api, "nobody@example.com")
    assert len(mailbox.emails()) == 3
    async with api.auth.db.read() as session:
        assert (await session.scalars(select(OutgoingEmail))).all() == []


async def test_reset_request_after_the_links_ended_sends_another(
    api: Api, mailbox: Mailbox
) -> None:
    for _ in range(4):
        await ask(api)
    await reset(api.auth, mailbox.last(ALICE.email).token)
    await ask(api)
    await reset(api.auth, mailbox.last(ALICE.email).token, "another of my own")


async def test_reset_request_for_a_new_account_is_not_paused(
    api: Api, mailbox: Mailbox, admin: str
) -> None:
    for _ in range(4):
        await ask(api, "carol@example.com")
    form = NewUserForm("carol", "carol@example.com", password=NEW)
    await create_user(api.auth, OPERATOR, form, [])
    await ask(api, "carol@example.com")
    await reset(api.auth, mailbox.last("carol@example.com").token)


async def test_emails_of_strangers_do_not_exhaust_the_reset_budget(
    api: Api, mailbox: Mailbox
) -> None:
    """T2: `register` and `requestEmailChange` with the user's address exhausted it."""
    viewer = await get_viewer(api.auth, HERE, await api.log_in(BOB))
    for number in range(5):
        form = NewUserForm(f"stranger{number}", ALICE.email, password=NEW)
        with suppress(Refusals, RateLimited):
            await register(api.auth, HERE, form)
        with suppress(RateLimited):
            await request_email_change(
                api.auth, viewer, new_email=ALICE.email, password=BOB.password
            )
    await api.send_emails()
    await ask(api)
    await reset(api.auth, mailbox.last(ALICE.email).token)


async def test_reset_request_of_a_known_device_has_a_separate_budget(
    api: Api, mailbox: Mailbox
) -> None:
    signed_in = await log_in(api.auth, HERE, username="alice", password=ALICE.password)
    await pass_the_limit(api)
    for _ in range(4):
        await request_password_reset(api.auth, Client("198.51.100.1"), email=ALICE.email)
    await api.send_emails()
    sent = len(mailbox.emails(ALICE.email))
    for proof in (signed_in.device_proof or "", signed_in.refresh_token.text):
        await request_password_reset(api.auth, HERE, email=ALICE.email, proofs=[proof])
    await api.send_emails()
    assert len(mailbox.emails(ALICE.email)) == sent + 2


async def pass_the_limit(api: Api, requests: int = 31) -> None:
    """Requests links to unknown addresses from the user's network."""
    for number in range(requests):
        await request_password_reset(api.auth, HERE, email=f"person{number}@example.com")
    await api.send_emails()


async def test_user_resets_despite_requests_from_the_same_network(
    api: Api, mailbox: Mailbox, clock: ManualClock
) -> None:
    """A stranger could delay the user for up to a minute, again and again."""
    for _ in range(4):
        await pass_the_limit(api, 40)
        for email in (BOB.email, ALICE.email):
            await request_password_reset(api.auth, HERE, email=email)
        clock.tick(minutes=10)
    await ask(api)
    # The stranger's request may have sent it. It works for at least half an hour.
    clock.tick(minutes=29)
    await reset(api.auth, mailbox.last(ALICE.email).token)


async def test_first_email_is_sent_past_the_limit_of_the_network(
    api: Api, mailbox: Mailbox
) -> None:
    await pass_the_limit(api)
    await ask(api)
    await reset(api.auth, mailbox.last(ALICE.email).token)
    # The next reset is not delayed either.
    await ask(api)
    await reset(api.auth, mailbox.last(ALICE.email).token, "another of my own")


async def test_network_past_its_limit_gets_one_email_per_address_and_half_hour(
    api: Api, mailbox: Mailbox, clock: ManualClock
) -> None:
    for _ in range(3):
        await pass_the_limit(api)
        for _ in range(5):
            await ask(api)
        clock.tick(minutes=15)
    assert len(mailbox.emails()) == 2


async def test_network_past_its_limit_stores_nothing_for_unknown_addresses(api: Api) -> None:
    """Otherwise a network could fill the table."""
    await pass_the_limit(api, 30)
    before = await count_rows(api)
    await pass_the_limit(api, 40)
    assert await count_rows(api) == before
    await request_password_reset(api.auth, Client("198.51.100.1"), email="other@example.com")
    assert await count_rows(api) != before


async def count_rows(api: Api) -> list[int | None]:
    async with api.auth.db.read() as session:
        tables = (ThrottleRow, OutgoingEmail, Link)
        return [await session.scalar(select(func.count()).select_from(t)) for t in tables]


async def test_reset_removes_the_throttle_delay(api: Api, mailbox: Mailbox) -> None:
    for _ in range(11):
        with pytest.raises((InvalidCredentials, RateLimited)):
            await log_in_with(api.auth, "a guess")
    with pytest.raises(RateLimited):
        await log_in_with(api.auth, ALICE.password)
    await ask(api)
    await reset(api.auth, mailbox.last(ALICE.email).token)
    await log_in_with(api.auth, NEW)


async def test_reset_request_refuses_an_invalid_email(sqlite_api: Api) -> None:
    with pytest.raises(EmailInvalid):
        await ask(sqlite_api, "alice")


async def test_reset_request_is_refused_without_email_delivery(sqlite_api: Api) -> None:
    object.__setattr__(sqlite_api.auth, "sends_email", False)
    with pytest.raises(MailUnavailable):
        await ask(sqlite_api)


async def test_operator_requires_a_password_reset(api: Api, mailbox: Mailbox) -> None:
    token = await api.log_in(ALICE)
    user = await find_user_by_name(api.auth, "alice")
    assert user
    await require_password_reset(api.auth, OPERATOR, user.id)
    with pytest.raises(SessionRevoked):
        await get_viewer(api.auth, HERE, token)
    with pytest.raises(InvalidCredentials):
        await log_in_with(api.auth, ALICE.password)
    await api.send_emails()
    await reset(api.auth, mailbox.last(ALICE.email).token)
    await log_in_with(api.auth, NEW)


async def test_required_reset_is_refused_without_an_email(api: Api) -> None:
    async with api.auth.db.begin() as tx:
        await tx.execute(
            update(User).where(User.username == "bob").values(email=None, email_key=None)
        )
    user = await find_user_by_name(api.auth, "bob")
    assert user
    with pytest.raises(EmailMissing):
        await require_password_reset(api.auth, OPERATOR, user.id)
    await log_in(api.auth, HERE, username="bob", password=BOB.password)


async def test_reset_request_and_reset_are_in_the_audit_log(api: Api, mailbox: Mailbox) -> None:
    await ask(api)
    await reset(api.auth, mailbox.last(ALICE.email).token)
    async with api.auth.db.read() as session:
        events = list(await session.scalars(select(AuditEvent).order_by(AuditEvent.id)))
    told = [(event.action, event.client_address) for event in events]
    assert told == [("password.reset_requested", "192.0.2.7"), ("password.reset", "192.0.2.7")]


async def test_link_of_a_deleted_user_is_refused(api: Api, mailbox: Mailbox) -> None:
    await ask(api)
    async with api.auth.db.begin() as tx:
        await tx.execute(delete(User).where(User.username == "alice"))
    with pytest.raises(LinkInvalid):
        await reset(api.auth, mailbox.last(ALICE.email).token)


async def test_throttle_rows_do_not_contain_the_email(api: Api) -> None:
    await ask(api)
    async with api.auth.db.read() as session:
        keys = list(await session.scalars(select(ThrottleRow.key)))
    assert keys
    assert not any("alice" in key for key in keys)


async def test_admin_can_reset_their_password(api: Api, mailbox: Mailbox) -> None:
    await ask(api, ADMIN.email)
    await reset(api.auth, mailbox.last(ADMIN.email).token)
    await log_in(api.auth, HERE, username="admin", password=NEW)


async def test_reset_email_goes_to_the_stored_spelling(api: Api, mailbox: Mailbox) -> None:
    alice = await find_user_by_name(api.auth, ALICE.username)
    assert alice
    await update_user(api.auth, OPERATOR, alice.id, UserEdit(email="alice@strasse.de"))
    await api.send_emails()
    await request_password_reset(api.auth, Client(), email="alice@straße.de")
    await api.send_emails()
    assert mailbox.emails()[-1].recipient == "alice@strasse.de"
    assert mailbox.emails("alice@xn--strae-oqa.de") == []
