"""The audits of the GraphQL-over-HTTP working group, against a running server."""

import json
import subprocess
from pathlib import Path

from tests.browser.chromium import PACKAGES, needs_packages
from tests.databases import SqliteTemplates
from tests.node import NODE, needs_node
from tests.processes import forked_server

AUDITS = Path(PACKAGES).parent / "audits.mjs"


@needs_packages
@needs_node
def test_graphql_over_http_audits_pass(sqlite_templates: SqliteTemplates, tmp_path: Path) -> None:
    settings = {
        "POSTERN_ENVIRONMENT": "development",
        "POSTERN_DATABASE_URL": sqlite_templates.new(tmp_path),
    }
    with forked_server(tmp_path, settings) as server:
        assert NODE
        done = subprocess.run(
            [NODE, str(AUDITS), f"{server.base_url}/graphql"],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(results) > 50
    assert [result for result in results if result["status"] != "ok"] == []
