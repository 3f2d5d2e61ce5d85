"""The structure of the code: layers, lengths and names; locks without hosts and paths."""

import ast
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
OURS = [
    file
    for layer in ("server", "graph", "auth", "models", "postern")
    for file in sorted((ROOT / layer).rglob("*.py"))
]

# Features that stand in several layers, and parts that HTTP and sockets both have.
SHARED_NAMES = {
    *("account_deletion", "account_export", "audit", "devices", "email_change"),
    *("email_verification", "invitations", "keys", "login", "logout", "password_change"),
    *("password_reset", "permissions", "profile", "refresh", "registration", "role_edits", "roles"),
    *("session_events", "sessions", "token_introspection", "user_access"),
    *("user_edits", "users"),
    "endpoint",
}


def test_imports_run_downwards() -> None:
    found = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout


def test_functions_have_at_most_40_lines() -> None:
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in OURS
        if "versions" not in path.parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if (node.end_lineno or 0) - node.lineno >= 40
    ]
    assert long == []


def test_module_name_has_one_meaning() -> None:
    packages: dict[str, set[Path]] = {}
    for path in OURS:
        if "migrations" not in path.parts and not path.name.startswith("__"):
            packages.setdefault(path.stem, set()).add(path.parent)
    shared = {name for name, where in packages.items() if len(where) > 1}
    assert shared - SHARED_NAMES == set()
    assert SHARED_NAMES - shared == set()


def test_the_locks_name_no_host_and_no_path() -> None:
    for lock in ROOT.glob("requirements*.lock"):
        text = lock.read_text(encoding="utf-8")
        assert "--hash=sha256:" in text
        assert not re.search(r"https?://|file:|--index-url|--find-links|@ /", text)
