"""Encoding of replies as JSON."""

import dataclasses
import json
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.encoding import NotJson, encode_json

KEYS = st.text(st.characters(exclude_categories=["Cs"])) | st.integers() | st.booleans()
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner))


@dataclasses.dataclass
class Row:
    password_hash: str = "hash-of-alice"


class RowTuple(NamedTuple):
    password_hash: str = "hash-of-alice"


# Like SQLAlchemy's `row._mapping`: a mapping, but not a dict.
ROW_MAPPING = MappingProxyType({"password_hash": "hash-of-alice"})


@given(VALUES)
def test_encoding_equals_that_of_the_standard_library(value: Any) -> None:
    assert json.loads(encode_json(value)) == json.loads(json.dumps(value))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({1: "one"}, '{"1":"one"}'),
        ({None: 1, True: 2, 1.5: 3}, '{"null":1,"true":2,"1.5":3}'),
        ([2**64], "[18446744073709551616]"),
        ([float("nan"), float("inf")], "[null,null]"),
        ([float("nan"), 2**64], "[null,18446744073709551616]"),
        (
            [UUID(int=1), datetime(2026, 1, 2, tzinfo=UTC), 2**64],
            (
                '["00000000-0000-0000-0000-000000000001","2026-01-02T00:00:00+00:00",'
                "18446744073709551616]"
            ),
        ),
    ],
)
def test_values_that_orjson_rejects_are_encoded(value: Any, text: str) -> None:
    assert encode_json(value).decode() == text


@pytest.mark.parametrize(
    "value",
    [
        *(Row(), [Row()], {"row": Row()}, [Row(), 2**64], {1: Row()}),
        *([RowTuple()], {"a": RowTuple()}, ROW_MAPPING, {"a": ROW_MAPPING}, [ROW_MAPPING, 2**64]),
    ],
)
def test_rows_are_refused(value: Any) -> None:
    with pytest.raises(NotJson) as caught:
        encode_json(value)
    assert "hash-of-alice" not in str(caught.value)


@pytest.mark.parametrize(
    "value", ["\ud800", {"\ud800": 1}, b"bytes", {1, 2}, {(1, 2): 3}, object(), [10**5000]]
)
def test_values_that_are_not_json_are_refused(value: Any) -> None:
    with pytest.raises(NotJson):
        encode_json([value])


def test_value_that_contains_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(NotJson):
        encode_json(value)
