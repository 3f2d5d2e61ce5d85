"""The files in deploy/ use settings, commands and files that exist."""

import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from hatch_build import MOVED, PACKAGE
from tests.docs.markdown import ROOT
from tests.docs.test_commands import SETTINGS, parse

DEPLOY = ROOT / "deploy"
FILES = [DEPLOY / name for name in ("Dockerfile", "compose.yaml", "postern.service", "nginx.conf")]


@pytest.fixture
def compose() -> Any:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_settings_in_deploy_exist(file: Path) -> None:
    named = set(re.findall(r"POSTERN_[A-Z_]+", file.read_text(encoding="utf-8")))
    assert sorted(named - SETTINGS) == []


def test_systemd_unit_runs_existing_commands() -> None:
    unit = (DEPLOY / "postern.service").read_text(encoding="utf-8")
    commands = re.findall(r"^Exec\w+=/opt/postern/bin/postern (.+)$", unit, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        parse(shlex.split(command))


def test_containers_run_existing_commands(compose: Any) -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    default = re.search(r"^CMD (\[.*\])$", dockerfile, re.MULTILINE)
    assert default
    services = [compose["services"][name]["command"] for name in ("migrate", "postern")]
    for command in [json.loads(default[1]), *services]:
        parse(command)


def test_docker_context_holds_all_files_of_the_wheel() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").split()
    given = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    build = {"hatch_build.py", "pyproject.toml", "requirements.lock"}
    assert given == {PACKAGE, *MOVED, *build, project["readme"], *project["license-files"]}
    assert [name for name in given if not (ROOT / name).exists()] == []


def test_compose_references_are_defined(compose: Any) -> None:
    for service in compose["services"].values():
        assert set(service.get("secrets", [])) <= set(compose["secrets"])
        assert set(service.get("depends_on", {})) <= set(compose["services"])


def test_proxies_close_idle_connections_before_postern() -> None:
    # uvicorn's keep-alive is 5 seconds; a proxy that sends into a closing connection sees an error.
    nginx = re.findall(r"keepalive_timeout (\d+)s", (DEPLOY / "nginx.conf").read_text("utf-8"))
    caddy = re.findall(r"keepalive (\d+)s", (DEPLOY / "Caddyfile").read_text("utf-8"))
    haproxy = re.findall(r"pool-purge-delay (\d+)s", (DEPLOY / "haproxy.cfg").read_text("utf-8"))
    assert [int(seconds) < 5 for seconds in [*nginx, *caddy, *haproxy]] == [True, True, True]
