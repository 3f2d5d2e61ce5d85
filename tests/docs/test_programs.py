"""The programs on the pages work with a server."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest

from server.development import ALICE, ALICE_PASSWORD
from tests.docs.markdown import ROOT, Block, blocks_of
from tests.node import NODE, needs_node
from tests.processes import Process, forked_server

SETTINGS = {"POSTERN_ENVIRONMENT": "development", "POSTERN_BCRYPT_COST": "4"}
GRANT = {"grant_type": "password", "username": ALICE, "password": ALICE_PASSWORD}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Process]:
    with forked_server(tmp_path, SETTINGS) as process:
        yield process


def program(page: str, language: str, start: str) -> Block:
    """Returns the block of this page that starts with this text."""
    found = [
        block
        for block in blocks_of(ROOT / "docs" / page)
        if block.language == language and block.text.startswith(start)
    ]
    assert len(found) == 1
    return found[0]


@needs_node
def test_frontend_of_the_quick_start_signs_in(server: Process, tmp_path: Path) -> None:
    shown = program("quick-start.md", "js", "const ENDPOINT").text
    calls = f"""
      const wrong = await signIn("{ALICE}", "not this");
      const before = await ask("{{ me {{ username }} }}");
      const right = await signIn("{ALICE}", "{ALICE_PASSWORD}");
      const after = await ask("{{ me {{ username }} }}");
      const seen = [wrong.errors[0].code, before.data.me, right.user, after.data.me];
      console.log(JSON.stringify(seen));
    """
    module = tmp_path / "frontend.mjs"
    module.write_text(shown.replace("http://localhost:8000", server.base_url) + calls, "utf-8")
    found = subprocess.run(
        [NODE or "", module], capture_output=True, text=True, timeout=30, check=False
    )
    assert found.returncode == 0, found.stderr
    alice = {"username": ALICE}
    assert json.loads(found.stdout) == ["INVALID_CREDENTIALS", None, alice, alice]


def test_service_accepts_access_tokens_only(server: Process) -> None:
    shown = program("services.md", "python", "import jwt").text
    names: dict[str, Any] = {}
    exec(shown.replace("https://auth.example.com", server.base_url), names)
    tokens = httpx2.post(f"{server.base_url}/token", data=GRANT).json()
    claims = names["claims_of"](tokens["access_token"])
    assert claims["iss"] == claims["aud"] == server.base_url
    head, body, signature = tokens["access_token"].split(".")
    for other in (tokens["refresh_token"], f"{head}.{body}.{signature[::-1]}"):
        with pytest.raises(jwt.PyJWTError):
            names["claims_of"](other)
