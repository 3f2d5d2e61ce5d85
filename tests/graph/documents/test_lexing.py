"""Counting tokens."""

import time
from random import Random

import pytest
from graphql import get_introspection_query, parse
from hypothesis import given
from hypothesis import strategies as st

from graph.documents.lexing import count_tokens
from tests.graph.compiled.documents import Writer
from tests.graph.compiled.nasty import NASTY
from tests.graph.compiled.nasty_inputs import POOLS

DOCUMENTS = [
    "{a}",
    "{ a, b,,, c }",
    "query Q($a: [Int!]! = [1, -2, 3.5e-7]) @d(x: {y: $a}) { a(b: $a) ...F ... on T { c } }",
    "{ a # not { these } \n b }",
    '{ a(b: "with \\" and # and { in it", c: "") }',
    '{ a(b: """block "with" \\""" and # and {""", c: """""") }',
    '{ a(b: "\u00e9\U0001f600", c: true, d: null, e: ENUM) }',
    get_introspection_query(),
]


@pytest.mark.parametrize("text", DOCUMENTS)
def test_count_equals_that_of_the_parser(text: str) -> None:
    assert count_tokens(text) == parse(text).token_count


@given(st.integers(0, 2**32))
def test_count_equals_that_of_the_parser_for_random_documents(seed: int) -> None:
    text = Writer(NASTY._schema, Random(seed), POOLS).request().text
    assert count_tokens(text) == parse(text).token_count


@given(st.text())
def test_count_of_any_text_is_at_most_its_length(text: str) -> None:
    assert 0 <= count_tokens(text) <= len(text)


@pytest.mark.parametrize("piece", ['"', '"""', '\\"', "#", "-", "1.", "a(", '"""\\"""', '"\n'])
def test_hostile_text_takes_linear_time(piece: str) -> None:
    started = time.process_time()
    count_tokens(piece * (100_000 // len(piece)))
    assert time.process_time() - started < 0.5
