"""Names: spellings that look the same are equal, and invisible characters are refused."""

import unicodedata

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given
from hypothesis import strategies as st

from auth.errors import EmailInvalid, FullNameInvalid, Refusal, UsernameInvalid
from auth.names import canonical, lookup_key, parse_email, parse_full_name, parse_username

BIDI_CONTROLS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI", "BN"}


@pytest.mark.parametrize(
    "username", ["al", "alice", "Алиса", "j.r.r-tolkien_7", "李小龙", "a" * 64]
)
def test_valid_usernames_are_accepted(username: str) -> None:
    assert parse_username(username) == username


@pytest.mark.parametrize(
    "username",
    [
        "",
        "a",
        "a" * 65,
        "a" * 100_000,
        ".alice",
        "_alice",
        "al ice",
        "al@ice",
        "al\0ice",
        "al\nice",
        "al\u200bice",
        "al\u202eice",
        "al\u00adice",
        "al\u3164ice",
        "al\ufe0fice",
        "al\ud800ice",
        "ﬃ" * 30,
        "ß" * 40,
        "alice🚪",
    ],
)
def test_invalid_usernames_are_refused(username: str) -> None:
    with pytest.raises(UsernameInvalid):
        parse_username(username)


@pytest.mark.parametrize(
    ("one", "other"),
    [("Alice", "ALICE"), ("\uff41lice", "alice"), ("straße", "STRASSE"), ("é", "e\u0301")],
)
def test_canonical_form_is_equal_for_spellings_that_look_alike(one: str, other: str) -> None:
    assert canonical(one) == canonical(other)


@given(st.text())
def test_canonical_form_is_idempotent(text: str) -> None:
    assert canonical(canonical(text)) == canonical(text)


@given(st.text(max_size=70))
def test_accepted_usernames_have_no_invisible_characters(text: str) -> None:
    try:
        username = parse_username(text)
    except UsernameInvalid:
        return
    assert not {unicodedata.category(c)[0] for c in username} & {"C", "Z"}
    assert not {unicodedata.bidirectional(c) for c in username} & BIDI_CONTROLS
    assert len(canonical(username)) <= 64


@given(st.text(alphabet=st.characters(categories=["L", "M", "N"]), min_size=2, max_size=20))
def test_canonical_form_is_equal_for_all_unicode_normal_forms(text: str) -> None:
    forms = [unicodedata.normalize(form, text) for form in ("NFC", "NFD", "NFKC", "NFKD")]
    assert {canonical(form) for form in [*forms, canonical(text)]} == {canonical(text)}


@given(st.text(max_size=70))
def test_lookup_finds_username_as_typed(text: str) -> None:
    try:
        username = parse_username(text)
    except UsernameInvalid:
        return
    assert lookup_key(text) == lookup_key(username) == canonical(username)
    assert parse_username(username) == username


INVISIBLE = {
    "control": "\x07",
    "delete": "\x7f",
    "soft hyphen": "\u00ad",
    "grapheme joiner": "\u034f",
    "Arabic letter mark": "\u061c",
    "Hangul filler": "\u115f",
    "Mongolian separator": "\u180e",
    "zero width space": "\u200b",
    "zero width joiner": "\u200d",
    "right to left mark": "\u200f",
    "line separator": "\u2028",
    "bidi override": "\u202e",
    "word joiner": "\u2060",
    "bidi isolate": "\u2066",
    "braille blank": "\u2800",
    "Hangul half filler": "\uffa0",
    "byte order mark": "\ufeff",
    "tag": "\U000e0041",
    "variation": "\U000e0100",
    "private": "\ue000",
    "unassigned": "\U0010ffff",
    "no-break space": "\u00a0",
}


@pytest.mark.parametrize("kind", INVISIBLE)
def test_usernames_with_invisible_characters_are_refused(kind: str) -> None:
    for username in (f"al{INVISIBLE[kind]}ice", f"alice{INVISIBLE[kind]}x", f"x{INVISIBLE[kind]}"):
        with pytest.raises(UsernameInvalid):
            parse_username(username)


@pytest.mark.parametrize("email", ["alice@example.com", "Al.Ice+tag@Example.COM", "ä@exämple.de"])
def test_email_address_is_trimmed_and_normalized(email: str) -> None:
    assert parse_email(f" {email} ").partition("@")[0] == email.partition("@")[0]


@pytest.mark.parametrize(
    "email",
    [
        "",
        "alice",
        "\ufdfa" * 12 + "@" + "b.c" * 30 + ".de",
        "@example.com",
        "a@",
        "a b@example.com",
        "a@b\0c.de",
        "a@" + "b" * 300 + ".de",
    ],
)
def test_invalid_email_addresses_are_refused(email: str) -> None:
    with pytest.raises(EmailInvalid):
        parse_email(email)


@pytest.mark.parametrize(
    ("given_name", "kept"), [(" Ada  Lovelace ", "Ada  Lovelace"), ("  ", None)]
)
def test_full_name_is_trimmed(given_name: str, kept: str | None) -> None:
    assert parse_full_name(given_name) == kept


@pytest.mark.parametrize(
    "name", ["x" * 201, "a\0b", "a\nb", "a\u202eb", "a\ud800b", "ﷺ\u0344" * 100]
)
def test_full_names_with_control_characters_are_refused(name: str) -> None:
    with pytest.raises(FullNameInvalid):
        parse_full_name(name)


@pytest.mark.parametrize("name", ["nul\0", "half \ud800", "x" * 255])
def test_lookup_key_of_impossible_name_is_none(name: str) -> None:
    assert lookup_key(name) is None


@given(st.text(max_size=300))
def test_parsers_raise_only_refusals(text: str) -> None:
    for parse in (parse_username, parse_email, parse_full_name):
        try:
            parse(text)
        except Refusal:
            continue


def normalized_by_library(text: str) -> str | None:
    try:
        return validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError:
        return None


plain_parts = st.text(st.sampled_from("abcxyzABXYZ0189._+-'\"@<> é\u0338\u212a\u017f"), max_size=12)
domains = st.sampled_from(
    ["example.com", "EXAMPLE.Com", "xn--bcher-kva.example", "ab--c.example", "localhost", "a.test"]
) | st.text(st.sampled_from("abnxXN019.-ß\u212a"), max_size=20)
local_parts = st.sampled_from(["postmaster", "Postmaster", "INFO", "a" * 64]) | plain_parts


@given(st.builds("{}@{}".format, local_parts, domains) | st.emails())
def test_email_parsing_agrees_with_email_validator(text: str) -> None:
    try:
        email = parse_email(text)
    except EmailInvalid:
        email = None
    wanted = normalized_by_library(text.strip())
    assert email == wanted


@given(st.builds("{}@{}".format, local_parts, domains) | st.emails())
def test_lookup_finds_email_as_typed(text: str) -> None:
    try:
        email = parse_email(text)
    except EmailInvalid:
        return
    assert lookup_key(text) == lookup_key(email) == canonical(email)


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("a@xn--strae-oqa.de", "a@straße.de"),
        ("A@XN--BCHER-KVA.example", "A@bücher.example"),
        ("a@ｅｘａｍｐｌｅ.com", "a@example.com"),
        ("a@bu\u0308cher.example", "a@bücher.example"),
    ],
)
def test_lookup_finds_email_by_each_form_of_its_domain(typed: str, stored: str) -> None:
    assert parse_email(typed) == stored
    assert lookup_key(typed) == lookup_key(stored) == canonical(stored)


def test_lookalikes_in_other_scripts_are_different_names() -> None:
    latin, cyrillic = "alice", "\N{CYRILLIC SMALL LETTER A}lice"
    assert canonical(parse_username(latin)) != canonical(parse_username(cyrillic))
