"""The replies on the pages are those of a server."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.docs.examples import Reader, difference, examples_of, missing_lines
from tests.docs.markdown import PAGES
from tests.emails import Mailbox
from tests.processes import forked_server

PAGES_WITH_EXAMPLES = [page for page in PAGES if any(examples_of(page))]
FRONTEND = "http://localhost:5173"
MANIFEST = {"2f1c4e": "query Me { me { username } }"}


@contextmanager
def reading(folder: Path) -> Iterator[Reader]:
    """Starts a server with the settings of the pages, and a reader."""
    manifest = folder / "persisted-documents.json"
    manifest.write_text(json.dumps(MANIFEST), encoding="utf-8")
    settings = {
        "POSTERN_ENVIRONMENT": "development",
        "POSTERN_BCRYPT_COST": "4",
        "POSTERN_EMAIL_VERIFICATION": "required",
        "POSTERN_MAIL_URL": f"file:{folder}/mails",
        "POSTERN_CORS_ORIGINS": FRONTEND,
        "POSTERN_TRUSTED_DOCUMENTS": str(manifest),
    }
    with (
        forked_server(folder, settings) as server,
        closing(Reader(server, Mailbox(folder / "mails"))) as reader,
    ):
        yield reader


@pytest.mark.parametrize("page", PAGES_WITH_EXAMPLES, ids=lambda page: page.name)
def test_examples_get_the_reply_that_is_shown(page: Path, tmp_path: Path) -> None:
    with reading(tmp_path) as reader:
        for example in examples_of(page):
            real, shown = reader.try_out(example), example.reply.text
            if example.reply.language == "json":
                assert difference(json.loads(shown), real) == "", str(example)
            else:
                assert missing_lines(shown, real) == [], f"{example}: {real}"


def test_examples_are_found() -> None:
    assert len(PAGES_WITH_EXAMPLES) >= 5
    assert sum(1 for page in PAGES_WITH_EXAMPLES for _ in examples_of(page)) > 40


@pytest.mark.parametrize(
    ("shown", "real", "found"),
    [
        ({"a": 1}, {"a": 1}, ""),
        ({"a": 1}, {"a": 2}, ".a: 1 is shown, 2 received"),
        ({"a": 1}, {"b": 1}, ": ['a'] is shown, ['b'] received"),
        (["x", "…"], ["x", "y", "z"], ""),
        (["x"], ["x", "y"], ": 1 are shown, 2 received"),
        ("eyJ…", "eyJhbGciOi", ""),
        ("eyJ…", "prt_0", ": 'eyJ…' is shown, 'prt_0' received"),
        ("2026-11-24T10:00:00Z", "2027-01-01T00:00:00.5Z", ""),
        (1_795_567_688, 1_800_000_000, ""),
        ("a [list]", "a [list]", ""),
    ],
)
def test_difference_of_replies(shown: object, real: object, found: str) -> None:
    assert difference(shown, real) == found
