"""Custom applications: `postern serve --app` and `postern schema export --app`."""

import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from server.custom_app import find_factory, load_app
from server.settings import ConfigurationError
from tests.commands import run, run_failing, use_development_settings
from tests.databases import SqliteTemplates
from tests.processes import running_server

ALONE = """
import strawberry
from postern import Public, create_app

@strawberry.type
class Query:
    @strawberry.field(permission_classes=[Public], description="The time of day.")
    def greeting(self) -> str:
        return "Good morning."

def create():
    return create_app(queries=[Query])

def nothing():
    return None

value = 1
"""
MOUNTED = """
import strawberry
from fastapi import FastAPI
from postern import Public, create_app, mount_postern

@strawberry.type
class Query:
    @strawberry.field(permission_classes=[Public], description="The notes.")
    def notes(self) -> list[str]:
        return ["One."]

def create():
    app = FastAPI()

    @app.get("/hello")
    def hello() -> str:
        return "hello"

    mount_postern(app, create_app(schemas={"/notes/graphql": strawberry.Schema(Query)}))
    return app
"""
BROKEN = "import a_package_that_is_missing"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sqlite_url: str) -> Iterator[Path]:
    """The current folder, with the modules of a custom application."""
    modules = {"team_alone": ALONE, "team_mounted": MOUNTED, "team_broken": BROKEN}
    for name, text in modules.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    use_development_settings(monkeypatch, sqlite_url)
    yield tmp_path
    for name in modules:
        sys.modules.pop(name, None)


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize(
    ("module", "path"), [("team_alone", "/healthz"), ("team_mounted", "/hello")]
)
def test_served_application_is_the_one_that_the_factory_returns(
    project: Path, sqlite_templates: SqliteTemplates, module: str, path: str, workers: str
) -> None:
    settings = {
        "POSTERN_ENVIRONMENT": "development",
        "POSTERN_DATABASE_URL": sqlite_templates.new(project),
        "POSTERN_BCRYPT_COST": "4",
    }
    options = ("--app", f"{module}:create", "--workers", workers)
    with running_server(project, settings, *options) as server:
        assert httpx2.get(f"{server.base_url}{path}").status_code == 200
        fields = httpx2.post(f"{server.base_url}/graphql", json={"query": "{ __typename }"})
        assert fields.json() == {"data": {"__typename": "Query"}}


def test_schema_export_prints_the_schema_of_the_application(project: Path) -> None:
    assert "greeting: String!" in run("schema", "export", "--app", "team_alone:create")


def test_schema_export_prints_a_custom_schema_by_its_path(project: Path) -> None:
    arguments = ("schema", "export", "--app", "team_mounted:create")
    assert "notes: [String!]!" in run(*arguments, "--path", "/notes/graphql")
    assert "notes" not in run(*arguments)


def test_schema_export_lists_the_paths_if_there_is_no_such_schema(project: Path) -> None:
    arguments = ("schema", "export", "--app", "team_mounted:create", "--path", "/other")
    assert run_failing(*arguments)[1] == "Schemas: /graphql, /notes/graphql."


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("team_alone", "is not `module:function`"),
        (":create", "is not `module:function`"),
        ("team_alone:", "is not `module:function`"),
        ("no_such_module:create", "there is no module no_such_module in "),
        ("team_alone.sub:create", "there is no module team_alone.sub in "),
        ("team_alone:missing", "is not a function"),
        ("team_alone:value", "is not a function"),
    ],
)
def test_factory_that_cannot_be_found_is_reported(project: Path, name: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        find_factory(name)


def test_missing_module_inside_the_application_keeps_its_traceback(project: Path) -> None:
    with pytest.raises(ModuleNotFoundError, match="a_package_that_is_missing"):
        find_factory("team_broken:create")


def test_factory_must_return_an_application_with_postern(project: Path) -> None:
    with pytest.raises(ConfigurationError, match="did not return an application with Postern"):
        load_app("team_alone:nothing")
