"""The files of deploy/ name settings, commands and files that are there."""

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
def test_settings_that_are_named_are_settings(file: Path) -> None:
    named = set(re.findall(r"POSTERN_[A-Z_]+", file.read_text(encoding="utf-8")))
    assert sorted(named - SETTINGS) == []


def test_the_unit_runs_commands_of_postern() -> None:
    unit = (DEPLOY / "postern.service").read_text(encoding="utf-8")
    commands = re.findall(r"^Exec\w+=/opt/postern/bin/postern (.+)$", unit, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        parse(shlex.split(command))


def test_the_containers_run_commands_of_postern(compose: Any) -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    default = re.search(r"^CMD (\[.*\])$", dockerfile, re.MULTILINE)
    assert default
    services = [compose["services"][name]["command"] for name in ("migrate", "postern")]
    for command in [json.loads(default[1]), *services]:
        parse(command)


def test_the_image_is_given_all_that_the_wheel_is_made_of() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").split()
    given = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    build = {"hatch_build.py", "pyproject.toml", "requirements.lock", project["project"]["readme"]}
    assert given == {PACKAGE, *MOVED, *build}
    assert [name for name in given if not (ROOT / name).exists()] == []


def test_compose_names_what_it_defines(compose: Any) -> None:
    for service in compose["services"].values():
        assert set(service.get("secrets", [])) <= set(compose["secrets"])
        assert set(service.get("depends_on", {})) <= set(compose["services"])


def test_the_proxies_end_idle_connections_before_postern_does() -> None:
    # uvicorn's keep-alive is 5 seconds; a proxy that sends into a closing connection sees an error.
    nginx = re.findall(r"keepalive_timeout (\d+)s", (DEPLOY / "nginx.conf").read_text("utf-8"))
    caddy = re.findall(r"keepalive (\d+)s", (DEPLOY / "Caddyfile").read_text("utf-8"))
    haproxy = re.findall(r"pool-purge-delay (\d+)s", (DEPLOY / "haproxy.cfg").read_text("utf-8"))
    assert [int(seconds) < 5 for seconds in [*nginx, *caddy, *haproxy]] == [True, True, True]
