"""Refresh tokens: encoding, HMACs and idempotency keys."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth.errors import InvalidRefreshToken
from auth.tokens.refresh_tokens import (
    PREFIX,
    RefreshToken,
    RefreshTokenCodec,
    looks_like_refresh_token,
)
from auth.tokens.secret_keys import SecretKeys

CODEC = RefreshTokenCodec(SecretKeys(["the newest secret"]))
TOKEN = RefreshToken(UUID("0190a8ff-4444-7444-8888-0123456789ab"), 7)


@given(st.uuids(), st.integers(0, 2**32 - 1))
def test_parse_returns_the_encoded_token(session_id: UUID, generation: int) -> None:
    token = RefreshToken(session_id, generation)
    assert CODEC.parse(CODEC.encode(token)) == token


@given(st.text() | st.text("prt_ABCabc012-=", min_size=70, max_size=75))
def test_other_text_is_invalid(text: str) -> None:
    with pytest.raises(InvalidRefreshToken):
        CODEC.parse(text)


@given(st.integers(len(PREFIX), len(CODEC.encode(TOKEN)) - 1), st.sampled_from("Aaz09-_="))
def test_token_with_changed_character_is_invalid(position: int, character: str) -> None:
    text = CODEC.encode(TOKEN)
    changed = text[:position] + character + text[position + 1 :]
    if changed != text:
        with pytest.raises(InvalidRefreshToken):
            CODEC.parse(changed)


def test_token_of_older_secret_is_valid_while_listed() -> None:
    text = RefreshTokenCodec(SecretKeys(["older"])).encode(TOKEN)
    assert RefreshTokenCodec(SecretKeys(["newer", "older"])).parse(text) == TOKEN
    with pytest.raises(InvalidRefreshToken):
        RefreshTokenCodec(SecretKeys(["newer"])).parse(text)


def test_successor_has_the_next_generation() -> None:
    assert TOKEN.successor() == RefreshToken(TOKEN.session_id, 8)


def test_idempotency_key_matches_its_token_only() -> None:
    stored = CODEC.hash_idempotency_key(TOKEN, "key")
    assert CODEC.matches_idempotency_key(TOKEN, "key", stored)
    assert not CODEC.matches_idempotency_key(TOKEN, "other", stored)
    assert not CODEC.matches_idempotency_key(TOKEN.successor(), "key", stored)
    assert not CODEC.matches_idempotency_key(TOKEN, "key", None)


def test_looks_like_refresh_token_checks_the_prefix() -> None:
    assert looks_like_refresh_token(CODEC.encode(TOKEN))
    assert looks_like_refresh_token("prt_forged")
    assert not looks_like_refresh_token("eyJhbGciOiJFUzI1NiJ9")
