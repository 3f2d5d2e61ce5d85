"""The Swagger page of the REST endpoints."""

from tests.api import Api


async def test_docs_page_runs_only_its_own_scripts(sqlite_api: Api) -> None:
    page = await sqlite_api.http.get("/docs")
    nonce = page.headers["content-security-policy"].partition("'nonce-")[2].partition("'")[0]
    assert page.text.count("<script") == page.text.count(f'<script nonce="{nonce}"') > 0
    assert "https://" not in page.text
    assert (await sqlite_api.http.get("/docs/assets/swagger-ui.css")).status_code == 200
