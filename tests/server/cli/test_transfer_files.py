"""Files of accounts: whatever is wrong with one is told at its line, and nothing else is lost."""

import csv
import io
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.cli.transfer_reading import LINE_MAX_BYTES, Format, format_of, read_lines
from server.cli.transfer_writing import encoder_of, whole_file
from server.command_failure import CommandFailed

JSONL, CSV = Format.JSONL, Format.CSV


def read(content: bytes, form: Format) -> list[tuple[int, Any]]:
    lines = read_lines(io.BytesIO(content), form, lambda _: None)
    return [(line.number, line.problem or line.fields) for line in lines]


def refused(content: bytes, form: Format) -> list[str]:
    with pytest.raises(CommandFailed) as stop:
        read(content, form)
    return list(stop.value.lines)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_json_lines_are_objects(mark: bytes, end: bytes) -> None:
    content = mark + end.join([b'{"username": "carol"}', b"", b'{"username": "dave"}'])
    assert read(content, JSONL) == [(1, {"username": "carol"}), (3, {"username": "dave"})]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_csv_has_a_header(mark: bytes, end: bytes) -> None:
    content = mark + end.join([b"username,full_name", b'carol,"C, D ""E"""', b"dave,", b""])
    assert read(content, CSV) == [
        (2, {"username": "carol", "full_name": 'C, D "E"'}),
        (3, {"username": "dave", "full_name": None}),
    ]


def test_cells_are_roles_and_truths() -> None:
    content = b"username,roles,disabled\ncarol,user; admin,true\ndave,,F\nerin,user,maybe\n"
    assert [fields for _, fields in read(content, CSV)] == [
        {"username": "carol", "roles": ["user", "admin"], "disabled": True},
        {"username": "dave", "roles": [], "disabled": False},
        {"username": "erin", "roles": ["user"], "disabled": "maybe"},
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"username": ', "is not valid JSON, from column 14; each line holds one object"),
        (b'{"username": "\\ud800"}', "is not valid JSON"),
        (b'{"username": NaN}', "is not valid JSON"),
        (b"[" * 20_000, "is not valid JSON"),
        (b'{"username": "\xff"}', "is not UTF-8"),
        (b'{"username": "' + b"a" * LINE_MAX_BYTES + b'"}', "has more than 64 KiB"),
        (b"a" * 3 * LINE_MAX_BYTES, "has more than 64 KiB"),
    ],
)
def test_a_broken_json_line_costs_that_line(line: bytes, said: str) -> None:
    first, broken, last = read(b'{"a": 1}\n' + line + b'\n{"b": 2}', JSONL)
    assert (first, last) == ((1, {"a": 1}), (3, {"b": 2}))
    assert broken[0] == 2
    assert broken[1].startswith(said)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"carol", "has 1 columns, and the header has 2"),
        (b"carol,a,b", "has 3 columns, and the header has 2"),
        (b'carol,"never closed', "is not valid CSV"),
        (b'carol,"a"b', "is not valid CSV"),
        (b"carol,\xff", "is not UTF-8"),
        (b"carol," + b"a" * 2 * LINE_MAX_BYTES, "has more than 64 KiB"),
    ],
)
def test_a_broken_csv_line_costs_that_line(line: bytes, said: str) -> None:
    broken, last = read(b"username,email\n" + line + b"\ndave,\n", CSV)
    assert broken[0] == 2
    assert broken[1].startswith(said)
    assert last == (3, {"username": "dave", "email": None})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", ["the file is empty"]),
        (b"\xef\xbb\xbf\n\n", ["the file is empty"]),
        (b"\xff\xfeu\0s\0", ["line 1: the file is UTF-16; save it as UTF-8"]),
        (b"\xff", ["line 1: the header is not UTF-8"]),
        (b"username,username", ["line 1: a column occurs twice"]),
        (b"email", ["line 1: the header names no column username; commas stand between columns"]),
        (b"username,nickname,nickname2", ["line 1: nickname: there is no such field"]),
        (b"username," + b"a" * LINE_MAX_BYTES, ["line 1: the header has more than 64 KiB"]),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_whole(content: bytes, said: list[str]) -> None:
    assert refused(content, CSV)[: len(said)] == said


def test_a_header_with_passwords_is_refused() -> None:
    (said,) = refused(b"username,password\ncarol,hunter2\n", CSV)
    assert said.startswith("line 1: password: plain-text passwords are not imported")


def test_a_missing_header_tells_no_account() -> None:
    said = refused(b"carol,carol@example.com,$2b$12$abcdef\n", CSV)
    assert "$2b$" not in str(said)


def test_bytes_are_counted_to_the_last() -> None:
    advanced: list[int] = []
    content = b"\xef\xbb\xbf{}\r\n\n" + b"a" * 3 * LINE_MAX_BYTES + b"\n{}"
    list(read_lines(io.BytesIO(content), JSONL, advanced.append))
    assert sum(advanced) == len(content)


@given(st.binary(max_size=200), st.sampled_from(Format))
def test_any_bytes_are_lines_or_are_refused(content: bytes, form: Format) -> None:
    try:
        lines = read(content, form)
    except CommandFailed:
        return
    assert [number for number, _ in lines] == sorted({number for number, _ in lines})


def test_the_name_of_a_file_says_its_format() -> None:
    assert format_of(Path("a.CSV"), None) is CSV
    assert format_of(Path("a.ndjson"), None) is JSONL
    assert format_of(Path("a.csv"), JSONL) is JSONL
    with pytest.raises(CommandFailed, match="say --format"):
        format_of(Path("accounts"), None)


full_names = st.text(st.sampled_from("'=+-@\uff1d\uff0b\uff0d\uff20,;\" aé"), min_size=1)


@given(full_names)
def test_a_name_that_looks_like_a_formula_is_text_and_comes_back(name: str) -> None:
    written = encoder_of(CSV, with_password_hashes=False)(
        [{"username": "carol", "full_name": name}]
    )
    header, cells = csv.reader(io.StringIO(written.decode()))
    assert cells[header.index("full_name")][0] not in "=+-@\uff1d\uff0b\uff0d\uff20"
    ((_, fields),) = read(written, CSV)
    assert fields["full_name"] == name


@pytest.mark.parametrize("form", Format)
def test_a_file_names_hashes_only_if_asked(form: Format) -> None:
    account = {"username": "carol", "password_hash": None}
    assert b"password_hash" not in encoder_of(form, with_password_hashes=False)([account])


def test_only_its_owner_may_read_a_file_and_its_half_is_never_seen(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    with whole_file(path) as file:
        file.write(b"half")
        assert not path.exists()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes() == b"half"


def test_a_file_that_could_not_be_finished_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_bytes(b"old")
    with pytest.raises(TypeError), whole_file(path) as file:
        file.writelines([b"new", None])  # type: ignore[list-item]
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("out.csv", b"old")]
