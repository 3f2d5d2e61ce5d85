"""The JWKS and the metadata of the server."""

import pytest

from tests.api import Api


async def test_jwks_can_be_cached(sqlite_api: Api) -> None:
    reply = await sqlite_api.http.get("/.well-known/jwks.json")
    assert reply.headers["cache-control"] == "public, max-age=300"
    assert reply.json()["keys"][0]["use"] == "sig"


@pytest.mark.parametrize("name", ["oauth-authorization-server", "openid-configuration"])
async def test_metadata_lists_every_endpoint(sqlite_api: Api, name: str) -> None:
    metadata = (await sqlite_api.http.get(f"/.well-known/{name}")).json()
    assert metadata["issuer"] == "http://localhost:8000"
    assert (await sqlite_api.http.get(metadata["jwks_uri"])).json()["keys"]
    for endpoint in ("token", "revocation", "introspection"):
        reply = await sqlite_api.http.post(metadata[f"{endpoint}_endpoint"])
        assert reply.status_code in {400, 401}
