"""Link tokens: one purpose, one row, one state, and an expiry."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth.errors import LinkInvalid, Refusal
from auth.tokens.link_tokens import LIFETIMES, LinkTokens, Purpose, parse_link_token
from auth.tokens.secret_keys import SecretKeys

TOKENS = LinkTokens(SecretKeys(["a secret of at least 32 characters"]))
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROW_ID = UUID("0190a8ff-4444-4444-8888-0123456789ab")
SOON = NOW + timedelta(hours=1)
STATES = st.lists(st.none() | st.text(max_size=5), max_size=3)


def check(text: str, *state: str | None, purpose: Purpose = Purpose.PASSWORD_RESET) -> None:
    TOKENS.check(purpose, parse_link_token(text), NOW, *state)


@given(row_id=st.uuids(), state=STATES)
def test_token_is_valid_for_its_state(row_id: UUID, state: list[str | None]) -> None:
    text = TOKENS.issue(Purpose.PASSWORD_RESET, row_id, SOON, *state)
    assert parse_link_token(text).row_id == row_id
    check(text, *state)


@given(state=STATES, other=STATES)
def test_token_is_invalid_for_other_state(state: list[str | None], other: list[str | None]) -> None:
    text = TOKENS.issue(Purpose.PASSWORD_RESET, ROW_ID, SOON, *state)
    if state != other:
        with pytest.raises(LinkInvalid):
            check(text, *other)


@pytest.mark.parametrize("made", list(Purpose))
@pytest.mark.parametrize("used", list(Purpose))
def test_token_is_invalid_for_other_purpose(made: Purpose, used: Purpose) -> None:
    text = TOKENS.issue(made, ROW_ID, SOON)
    if made != used:
        with pytest.raises(LinkInvalid):
            check(text, purpose=used)


def test_token_expires() -> None:
    with pytest.raises(LinkInvalid):
        check(TOKENS.issue(Purpose.PASSWORD_RESET, ROW_ID, NOW))


@given(position=st.integers(0, 75), character=st.sampled_from("AaZz09-_"))
def test_token_with_other_character_is_invalid(position: int, character: str) -> None:
    text = TOKENS.issue(Purpose.PASSWORD_RESET, ROW_ID, SOON)
    changed = text[:position] + character + text[position + 1 :]
    if changed != text:
        with pytest.raises(LinkInvalid):
            check(changed)


@given(st.text(max_size=100) | st.text("plt_ABCabc012-=", min_size=70, max_size=80))
def test_other_text_is_invalid(text: str) -> None:
    with pytest.raises(Refusal):
        check(text)


def test_token_of_older_secret_is_valid_while_listed() -> None:
    text = LinkTokens(SecretKeys(["older"])).issue(Purpose.INVITATION, ROW_ID, SOON)
    both = LinkTokens(SecretKeys(["newer", "older"]))
    both.check(Purpose.INVITATION, parse_link_token(text), NOW)
    with pytest.raises(LinkInvalid):
        LinkTokens(SecretKeys(["newer"])).check(Purpose.INVITATION, parse_link_token(text), NOW)


def test_password_reset_lifetime_is_one_hour_at_most() -> None:
    assert LIFETIMES[Purpose.PASSWORD_RESET] <= timedelta(hours=1)


def test_tokens_differ() -> None:
    made = {TOKENS.issue(Purpose.PASSWORD_RESET, uuid4(), SOON) for _ in range(100)}
    assert len(made) == 100
