"""How long services use cached keys while Postern is unavailable."""

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.services.access_tokens import InvalidToken, KeySet, KeysUnavailable
from tests.databases import SqliteTemplates
from tests.examples.services import HTTP
from tests.examples.test_services import needs_packages
from tests.faults.cluster import one_of_cluster
from tests.node import NODE, needs_node
from tests.processes import Process

CACHED_KEYS = Path(__file__).with_name("cached_keys.mjs")


@pytest.fixture
def postern(sqlite_templates: SqliteTemplates, tmp_path: Path) -> Iterator[Process]:
    with one_of_cluster(tmp_path, sqlite_templates.new(tmp_path)) as process:
        yield process


def jwks_url(postern: Process) -> str:
    return f"{postern.base_url}/.well-known/jwks.json"


def kid_of(postern: Process) -> str:
    return str(HTTP.get(jwks_url(postern)).json()["keys"][0]["kid"])


def kill(postern: Process) -> None:
    postern.process.kill()
    postern.process.wait(timeout=60)


async def test_cached_keys_are_used_for_a_limited_time(postern: Process) -> None:
    kid = kid_of(postern)
    keys = KeySet(jwks_url(postern), fresh=0, known=2, cool_down=0)
    assert (await keys.find(kid)).key_id == kid
    kill(postern)
    assert (await keys.find(kid)).key_id == kid
    await asyncio.sleep(2)
    with pytest.raises(KeysUnavailable):
        await keys.find(kid)


@needs_node
@needs_packages
def test_cached_keys_in_node_are_used_for_the_same_time(postern: Process) -> None:
    assert NODE
    command = [NODE, str(CACHED_KEYS), jwks_url(postern), kid_of(postern)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as node:
        assert node.stdin
        assert node.stdout
        assert node.stdout.readline() == "found\n"
        kill(postern)
        assert node.communicate("\n", timeout=60)[0] == "unavailable\n"


async def test_jwks_with_invalid_shape_is_rejected(postern: Process) -> None:
    keys = KeySet(f"{postern.base_url}/healthz")
    with pytest.raises(KeysUnavailable):
        await keys.find(kid_of(postern))


async def test_concurrent_requests_fetch_keys_once(postern: Process) -> None:
    keys = KeySet(jwks_url(postern))
    kid = kid_of(postern)
    before = postern.output.count("jwks.json")
    found = await asyncio.gather(*(keys.find(kid) for _ in range(20)))
    assert {key.key_id for key in found} == {kid}
    with pytest.raises(InvalidToken):
        await keys.find("unknown")
    await asyncio.sleep(0.2)
    assert postern.output.count("jwks.json") == before + 1
