"""The fixtures of `postern.testing`, in a project that uses them."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

CONFTEST = """
import pytest, strawberry
from postern import HasPermission, Info, create_app

pytest_plugins = ["postern.testing"]

@strawberry.type
class Query:
    @strawberry.field(permission_classes=[HasPermission("notes:read")], description="The notes.")
    def notes(self, info: Info) -> list[str] | None:
        return [f"One of {info.context.viewer.user.username}."]

@pytest.fixture
def postern_app(postern_settings, postern_clock):
    permissions = {"notes:read": "Read notes."}
    return create_app(
        postern_settings, clock=postern_clock, queries=[Query], permissions=permissions
    )
"""
PROJECT = """
import pytest

ME = "{ me { id username email roles { name } } }"

def codes(result):
    return [error["extensions"]["code"] for error in result["errors"]]

def test_permissions_are_those_that_were_named(postern_server):
    reader = postern_server.signed_in("ada", permissions=["notes:read"])
    other = postern_server.signed_in("bob")
    assert reader.execute("{ notes }") == {"data": {"notes": ["One of ada."]}}
    assert codes(other.execute("{ notes }")) == ["FORBIDDEN"]
    assert codes(postern_server.anonymous.execute("{ notes }")) == ["UNAUTHENTICATED"]

def test_signed_in_user_has_an_id_an_email_and_roles(postern_server):
    ada = postern_server.signed_in("ada", roles=["support"])
    me = ada.execute(ME)["data"]["me"]
    assert me["id"] == str(ada.user_id)
    assert (me["username"], me["email"]) == ("ada", "ada@example.com")
    assert [role["name"] for role in me["roles"]] == ["support"]

def test_second_sign_in_starts_another_session_of_the_same_user(postern_server):
    first, second = postern_server.signed_in("ada"), postern_server.signed_in("ada")
    assert first.user_id == second.user_id
    assert first.access_token != second.access_token
    with pytest.raises(ValueError, match="ada exists already"):
        postern_server.signed_in("ada", roles=["support"])

def test_unknown_role_is_reported(postern_server):
    with pytest.raises(ValueError, match="not all of these roles exist: chef"):
        postern_server.signed_in("ada", roles=["chef"])

def test_clock_expires_tokens(postern_server):
    ada = postern_server.signed_in("ada")
    postern_server.clock.advance(minutes=31)
    result = ada.execute(ME)
    assert result["errors"][0]["extensions"]["reason"] == "TOKEN_EXPIRED"

def test_emails_are_those_that_the_server_sent(postern_server):
    postern_server.signed_in("ada")
    assert postern_server.emails() == []
    postern_server.anonymous.execute(
        'mutation { requestPasswordReset(input: {email: "ada@example.com"}) { errors { code } } }'
    )
    (email,) = postern_server.emails()
    assert email["To"] == "ada@example.com"
    assert "token" in email.get_body(("plain",)).get_content()

def test_requests_carry_the_access_token(postern_server):
    ada = postern_server.signed_in("ada")
    assert ada.request("GET", "/users/me").json()["username"] == "ada"
    assert postern_server.anonymous.request("GET", "/users/me").status_code == 401

def test_tests_share_no_users(postern_server):
    assert postern_server.signed_in("ada", permissions=["notes:read"]).user_id
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_notes.py").write_text(PROJECT)
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    return folder


def test_fixtures_serve_the_tests_of_a_project(project: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert "8 passed" in done.stdout, done.stdout + done.stderr


def test_plugin_works_without_a_project_of_ones_own(tmp_path: Path) -> None:
    """The default `postern_app` is Postern alone."""
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["postern.testing"]\n')
    (tmp_path / "test_alone.py").write_text(
        "def test_me(postern_server):\n"
        "    ada = postern_server.signed_in('ada')\n"
        "    assert ada.execute('{ me { username } }')['data'] == {'me': {'username': 'ada'}}\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "1 passed" in done.stdout, done.stdout + done.stderr
