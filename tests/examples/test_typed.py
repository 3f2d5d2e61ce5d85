"""The typed example clients: generated code compiles, and works with a real server."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.accounts import ADMIN, ALICE
from tests.databases import SqliteTemplates
from tests.examples.processes import ROOT
from tests.examples.services import HTTP
from tests.node import NODE, needs_node, needs_packages_of
from tests.processes import Process, forked_server

TYPED = ROOT / "examples" / "typed"
PACKAGES = TYPED / "node_modules"

pytestmark = [needs_node, needs_packages_of(TYPED)]


def npm_run(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Runs a script of package.json."""
    return subprocess.run(
        ["npm", "run", "--silent", script],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the example with generated and compiled code."""
    top = tmp_path_factory.mktemp("typed")
    shutil.copy(ROOT / "schema.graphql", top)
    folder = top / "examples" / "typed"
    shutil.copytree(TYPED, folder, ignore=shutil.ignore_patterns("node_modules", *_MADE))
    (folder / "node_modules").symlink_to(PACKAGES)
    for script in ("generate", "build", "relay"):
        done = npm_run(folder, script)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder


_MADE = ("generated", "dist")


@pytest.fixture(scope="module")
def manifest(built: Path) -> dict[str, str]:
    """The documents of both generators."""
    return {
        **read(built / "generated" / "client" / "persisted-documents.json"),
        **read(built / "generated" / "relay" / "persisted-documents.json"),
    }


@pytest.fixture(scope="module")
def postern(
    manifest: dict[str, str],
    sqlite_templates: SqliteTemplates,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Process]:
    """A server that runs only these documents."""
    folder = tmp_path_factory.mktemp("trusted")
    documents = folder / "persisted-documents.json"
    documents.write_text(json.dumps(manifest), encoding="utf-8")
    settings = {
        "POSTERN_ENVIRONMENT": "development",
        "POSTERN_DATABASE_URL": sqlite_templates.new(folder),
        "POSTERN_TRUSTED_DOCUMENTS": str(documents),
        "POSTERN_TRUSTED_DOCUMENTS_ONLY": "on",
    }
    with forked_server(folder, settings) as server:
        yield server


def read(file: Path) -> dict[str, str]:
    return dict(json.loads(file.read_text(encoding="utf-8")))


def run_client(built: Path, postern: Process, username: str, password: str) -> Any:
    """Returns the output of the compiled client."""
    assert NODE
    command = [NODE, "dist/src/main.js", f"{postern.base_url}/graphql", username, password]
    done = subprocess.run(
        command, cwd=built, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def send(postern: Process, **request: Any) -> Any:
    return HTTP.post(f"{postern.base_url}/graphql", json=request).json()


def test_schema_and_documents_pass_the_linter() -> None:
    done = npm_run(TYPED, "lint")
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


@pytest.mark.soak
def test_linter_reports_a_missing_description(built: Path) -> None:
    schema = built.parents[1] / "schema.graphql"
    whole = schema.read_text(encoding="utf-8")
    schema.write_text(whole.replace('"""Username or email address."""', ""), encoding="utf-8")
    done = npm_run(built, "lint")
    schema.write_text(whole, encoding="utf-8")
    assert done.returncode == 1
    assert 'Description is required for input value "username"' in done.stdout


def test_typed_admin_client_runs_trusted_documents(built: Path, postern: Process) -> None:
    assert run_client(built, postern, ADMIN.username, ADMIN.password) == {
        "me": "admin",
        "roles": ["admin"],
        "users": ["audrey", "sophie"],
        "more": True,
        "denied": [],
    }


def test_denied_field_keeps_the_rest_of_the_reply(built: Path, postern: Process) -> None:
    result = run_client(built, postern, ALICE.username, ALICE.password)
    assert (result["me"], result["denied"]) == ("alice", ["users:read"])


def test_payload_error_has_its_code(built: Path, postern: Process) -> None:
    result = run_client(built, postern, ALICE.username, "a guess")
    assert result == {"refused": ["That is not your password."]}


def test_other_document_is_refused(postern: Process) -> None:
    assert "data" not in send(postern, query="{ me { id } }")


def test_documents_of_relay_run_by_their_hash(postern: Process, manifest: dict[str, str]) -> None:
    page = next(name for name, text in manifest.items() if text.startswith("query UserListQuery"))
    result = send(postern, documentId=page)
    assert result["data"] == {"me": None, "users": None}
    assert {error["extensions"]["code"] for error in result["errors"]} == {"UNAUTHENTICATED"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("me.data?.me?.nickname;", "Property 'nickname' does not exist"),
        ("me.data?.me.id;", "is possibly 'null'"),
        ('const code: UserErrorCode = "WRONG_PASWORD";', "is not assignable to type"),
        ("await client.run(UsersDocument, {});", "Property 'first' is missing"),
    ],
)
def test_type_error_does_not_compile(built: Path, line: str, message: str) -> None:
    source = built / "src" / "mistake.ts"
    main = (built / "src" / "main.ts").read_text(encoding="utf-8")
    head, _, _ = main.partition("try {")
    source.write_text(f"{head}const me = await client.run(MeDocument, {{}});\n{line}\n")
    done = npm_run(built, "build")
    source.unlink()
    assert done.returncode != 0
    assert message in done.stdout
