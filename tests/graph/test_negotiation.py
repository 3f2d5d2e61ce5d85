"""Content negotiation with weights (RFC 9110, 12)."""

import pytest

from graph.explorer.built_files import accepts_gzip
from graph.http.requests import accepted_media_type
from graph.statuses import JSON, RESPONSE_JSON
from tests.api import Api

NEW = "application/graphql-response+json"
OLD = "application/json"


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("", JSON),
        (" , ", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (OLD, JSON),
        (NEW, RESPONSE_JSON),
        (f"{NEW}, {OLD}", RESPONSE_JSON),
        (f"{OLD}, {NEW}", RESPONSE_JSON),
        (f"{NEW}, */*", RESPONSE_JSON),
        (f"{OLD}, */*", JSON),
        (f"{NEW};q=0.5, {OLD}", JSON),
        (f"{OLD};q=0.9, {NEW};q=0.5", JSON),
        (f"{NEW}, {OLD};q=0.9", RESPONSE_JSON),
        (f"{NEW}; q=0.8 , {OLD} ; Q=0.7", RESPONSE_JSON),
        (f"{NEW};charset=utf-8;q=0.1, {OLD};q=0.2", JSON),
        (f"{NEW};q=0, {OLD}", JSON),
        (f"{NEW};q=0, */*", JSON),
        (f"{OLD};q=0, */*", RESPONSE_JSON),
        (f"{OLD};q=0, application/*", RESPONSE_JSON),
        ("text/html, */*;q=0.1", JSON),
        (f"{NEW};q=0.000", None),
        (f"{NEW};q=0, {OLD};q=0.0", None),
        ("*/*;q=0", None),
        (f"*/*;q=0, {OLD}", JSON),
        ("text/html", None),
        (f"{NEW};q=.2, {OLD};q=.9", JSON),
        (f"{OLD};q=0.3333, {NEW};q=0.6667", RESPONSE_JSON),
        (f"{NEW};q=1.5, {OLD};q=0.9", RESPONSE_JSON),
        (f"{OLD};q=abc", JSON),
        (f"{OLD};q=", JSON),
        (OLD.upper(), JSON),
    ],
)
def test_reply_has_the_preferred_media_type(accept: str, media_type: str | None) -> None:
    assert accepted_media_type(accept.encode()) == media_type


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
        ("text/html", "text/html"),
        (f"{OLD}, text/html;q=0.5", OLD),
        (f"{OLD};q=0.5, text/html", "text/html"),
        ("text/html;q=0, */*", OLD),
        (f"text/html;q=0, {NEW}", NEW),
    ],
)
async def test_explorer_is_shown_if_html_is_preferred(
    sqlite_api: Api, accept: str, content_type: str
) -> None:
    reply = await sqlite_api.http.get("/graphql", headers={"Accept": accept})
    assert reply.headers["content-type"].partition(";")[0] == content_type


async def test_unacceptable_media_types_are_406(sqlite_api: Api) -> None:
    reply = await sqlite_api.http.post(
        "/graphql", json={"query": "{ __typename }"}, headers={"Accept": f"{OLD};q=0, {NEW};q=0"}
    )
    assert reply.status_code == 406


@pytest.mark.parametrize(
    ("accepted", "is_accepted"),
    [
        ("gzip", True), ("br, gzip;q=0.5", True), ("GZIP", True), ("gzip;q=0", False),
        ("gzip; q=0.0", False), ("br", False), ("", False), ("identity", False),
    ],
)  # fmt: skip
def test_gzip_acceptance_follows_the_header(accepted: str, is_accepted: bool) -> None:
    assert accepts_gzip(accepted) == is_accepted
