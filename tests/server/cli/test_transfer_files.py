"""Reading and writing files of accounts."""

import csv
import io
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.cli.transfer_reading import LINE_MAX_BYTES, Format, choose_format, read_lines
from server.cli.transfer_writing import atomic_file, encoder_of
from server.command_failure import CommandFailed

JSONL, CSV = Format.JSONL, Format.CSV


def read(content: bytes, form: Format) -> list[tuple[int, Any]]:
    lines = read_lines(io.BytesIO(content), form, lambda _: None)
    return [(line.number, line.problem or line.fields) for line in lines]


def refused(content: bytes, form: Format) -> list[str]:
    with pytest.raises(CommandFailed) as failure:
        read(content, form)
    return list(failure.value.lines)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_json_lines_are_read_as_objects(mark: bytes, end: bytes) -> None:
    content = mark + end.join([b'{"username": "carol"}', b"", b'{"username": "dave"}'])
    assert read(content, JSONL) == [(1, {"username": "carol"}), (3, {"username": "dave"})]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_csv_is_read_with_its_header(mark: bytes, end: bytes) -> None:
    content = mark + end.join([b"username,full_name", b'carol,"C, D ""E"""', b"dave,", b""])
    assert read(content, CSV) == [
        (2, {"username": "carol", "full_name": 'C, D "E"'}),
        (3, {"username": "dave", "full_name": None}),
    ]


def test_csv_cells_are_read_as_roles_and_booleans() -> None:
    content = b"username,roles,disabled\ncarol,user; admin,true\ndave,,F\nerin,user,maybe\n"
    assert [fields for _, fields in read(content, CSV)] == [
        {"username": "carol", "roles": ["user", "admin"], "disabled": True},
        {"username": "dave", "roles": [], "disabled": False},
        {"username": "erin", "roles": ["user"], "disabled": "maybe"},
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"username": ', "is not valid JSON at column 14; each line must be one object"),
        (b'{"username": "\\ud800"}', "is not valid JSON"),
        (b'{"username": NaN}', "is not valid JSON"),
        (b"[" * 20_000, "is not valid JSON"),
        (b'{"username": "\xff"}', "is not UTF-8"),
        (b'{"username": "' + b"a" * LINE_MAX_BYTES + b'"}', "is longer than 64 KiB"),
        (b"a" * 3 * LINE_MAX_BYTES, "is longer than 64 KiB"),
    ],
)
def test_invalid_json_line_does_not_affect_other_lines(line: bytes, message: str) -> None:
    first, broken, last = read(b'{"a": 1}\n' + line + b'\n{"b": 2}', JSONL)
    assert (first, last) == ((1, {"a": 1}), (3, {"b": 2}))
    assert broken[0] == 2
    assert broken[1].startswith(message)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"carol", "has 1 columns, but the header has 2"),
        (b"carol,a,b", "has 3 columns, but the header has 2"),
        (b'carol,"never closed', "is not valid CSV"),
        (b'carol,"a"b', "is not valid CSV"),
        (b"carol,\xff", "is not UTF-8"),
        (b"carol," + b"a" * 2 * LINE_MAX_BYTES, "is longer than 64 KiB"),
    ],
)
def test_invalid_csv_line_does_not_affect_other_lines(line: bytes, message: str) -> None:
    broken, last = read(b"username,email\n" + line + b"\ndave,\n", CSV)
    assert broken[0] == 2
    assert broken[1].startswith(message)
    assert last == (3, {"username": "dave", "email": None})


@pytest.mark.parametrize(
    ("content", "messages"),
    [
        (b"", ["The file is empty."]),
        (b"\xef\xbb\xbf\n\n", ["The file is empty."]),
        (b"\xff\xfeu\0s\0", ["line 1: the file is UTF-16. Save it as UTF-8."]),
        (b"\xff", ["line 1: the header is not UTF-8"]),
        (b"username,username", ["line 1: a column occurs twice"]),
        (b"email", ["line 1: the header has no column username; columns are separated by commas"]),
        (b"username,nickname,nickname2", ["line 1: nickname: is not a known field"]),
        (b"username," + b"a" * LINE_MAX_BYTES, ["line 1: the header is longer than 64 KiB"]),
    ],
)
def test_unusable_file_is_refused(content: bytes, messages: list[str]) -> None:
    assert refused(content, CSV)[: len(messages)] == messages


def test_header_with_a_password_column_is_refused() -> None:
    (message,) = refused(b"username,password\ncarol,hunter2\n", CSV)
    assert message.startswith("line 1: password: plain-text passwords cannot be imported")


def test_error_of_a_missing_header_does_not_contain_the_hash() -> None:
    messages = refused(b"carol,carol@example.com,$2b$12$abcdef\n", CSV)
    assert "$2b$" not in str(messages)


def test_progress_counts_all_bytes() -> None:
    advanced: list[int] = []
    content = b"\xef\xbb\xbf{}\r\n\n" + b"a" * 3 * LINE_MAX_BYTES + b"\n{}"
    list(read_lines(io.BytesIO(content), JSONL, advanced.append))
    assert sum(advanced) == len(content)


@given(st.binary(max_size=200), st.sampled_from(Format))
def test_any_bytes_are_read_as_lines_or_refused(content: bytes, form: Format) -> None:
    try:
        lines = read(content, form)
    except CommandFailed:
        return
    assert [number for number, _ in lines] == sorted({number for number, _ in lines})


def test_format_is_chosen_by_option_or_file_name() -> None:
    assert choose_format(Path("a.CSV"), None) is CSV
    assert choose_format(Path("a.ndjson"), None) is JSONL
    assert choose_format(Path("a.csv"), JSONL) is JSONL
    with pytest.raises(CommandFailed, match="Add --format"):
        choose_format(Path("accounts"), None)


full_names = st.text(st.sampled_from("'=+-@\uff1d\uff0b\uff0d\uff20,;\" aé"), min_size=1)


@given(full_names)
def test_formulas_are_escaped_in_csv_and_read_back(name: str) -> None:
    written = encoder_of(CSV, with_password_hashes=False)(
        [{"username": "carol", "full_name": name}]
    )
    header, cells = csv.reader(io.StringIO(written.decode()))
    assert cells[header.index("full_name")][0] not in "=+-@\uff1d\uff0b\uff0d\uff20"
    ((_, fields),) = read(written, CSV)
    assert fields["full_name"] == name


@pytest.mark.parametrize("form", Format)
def test_password_hashes_are_only_written_if_requested(form: Format) -> None:
    account = {"username": "carol", "password_hash": None}
    assert b"password_hash" not in encoder_of(form, with_password_hashes=False)([account])


def test_atomic_file_is_private_and_appears_when_complete(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    with atomic_file(path) as file:
        file.write(b"half")
        assert not path.exists()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes() == b"half"


def test_atomic_file_that_fails_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_bytes(b"old")
    with pytest.raises(TypeError), atomic_file(path) as file:
        file.writelines([b"new", None])  # type: ignore[list-item]
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("out.csv", b"old")]
